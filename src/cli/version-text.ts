/** `--version`: one line; with --verbose also what it works with (ux.md §3.1). */

import {readdirSync} from 'node:fs';
import path from 'node:path';
import type {ContextFlags} from './context-flags.ts';
import {chooseEngine} from './engine-choice.ts';
import type {Environment} from './environment.ts';
import {packageRoot, packageVersion} from './package-root.ts';
import {statePaths} from './paths.ts';

/** Without the last newline. */
export function versionText(program: string, environment: Environment, flags: ContextFlags): string {
  const line = `${program} ${packageVersion()}`;
  if (!flags.verbose) return line;
  const {env, uid, homeDirectory} = environment;
  const root = (flags.root ?? env.IMGCTL_ROOT) || undefined;
  const directory = statePaths({env, uid, homeDirectory, root}).imageDirectory('machine');
  const engine = chooseEngine({wanted: flags.engine ?? (env.IMGCTL_ENGINE || undefined), root, directory});
  // The migrations are numbered, and the last is the schema of the catalog.
  const schema = readdirSync(path.join(packageRoot(), 'migrations')).length;
  return [line, `engine ${engine}`, `catalog schema ${schema}`, `node ${process.versions.node}`].join('\n');
}
