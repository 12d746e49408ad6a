/**
 * Builds imgctl-VERSION.tgz: `package-npm.ts [DIRECTORY]`, into DIRECTORY or the current folder; prints its path. The package holds
 * all it needs but Node, so that `npm install -g` asks no registry and compiles nothing. Needs a finished build.
 */

import {execFileSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, rmSync} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import {stage, writeCompletions} from './stage.ts';

const into = path.resolve(process.argv[2] ?? '.');
const scratch = mkdtempSync(path.join(os.tmpdir(), 'imgctl-npm.'));
try {
  const tree = path.join(scratch, 'imgctl');
  stage(tree);
  writeCompletions(tree);
  mkdirSync(into, {recursive: true});
  const words = ['pack', '--ignore-scripts', '--silent', '--pack-destination', into, tree];
  const name = execFileSync('npm', words, {encoding: 'utf8', cwd: scratch}).trim();
  process.stdout.write(`${path.join(into, name)}\n`);
} finally {
  rmSync(scratch, {recursive: true, force: true});
}
