/**
 * Keeps what V8 has compiled of a program. It forgets functions that have not run for a while, above all the one around the whole
 * program: `keepCompiled` before it is loaded. `writeCache` goes back to the flags that it will be read under.
 */
import {renameSync, writeFileSync} from 'node:fs';
import {setFlagsFromString} from 'node:v8';
import type {Script} from 'node:vm';

export function keepCompiled(): void {
  setFlagsFromString('--no-flush-bytecode');
}

export function writeCache(target: string, script: Script): void {
  setFlagsFromString('--flush-bytecode');
  writeFileSync(`${target}.new`, script.createCachedData());
  renameSync(`${target}.new`, target);
}
