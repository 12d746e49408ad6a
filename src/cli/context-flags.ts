/** The flags that decide where a command works, whatever the verb. */

import type {GlobalFlags} from './flags.ts';
import type {JsonForm} from './json-form.ts';
import type {Scope} from './paths.ts';

/** Name the program was started under. */
export type ProgramName = 'imgctl' | 'imgadm' | 'importctl';

/** The general flags, what `--json` was given, and the scope that the importctl family knows. */
export type ContextFlags = Partial<GlobalFlags> & {jsonForm?: JsonForm; scope?: Scope};

/** Those that say where state lies and how the network is used. */
export type PlaceFlags = Pick<
  ContextFlags,
  'root' | 'config' | 'engine' | 'offline' | 'retries' | 'timeout' | 'scope'
>;

/** Those of them that are set. */
export function placeFlags(flags: ContextFlags): PlaceFlags {
  const names = ['root', 'config', 'engine', 'offline', 'retries', 'timeout', 'scope'] as const;
  const entries = names.map((name) => [name, flags[name]] as const);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}
