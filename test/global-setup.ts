/** Builds what the tests run (validators, native binding, bundle) once, before any test. */
import {execFileSync} from 'node:child_process';
import path from 'node:path';

export default function setup(): void {
  if (process.env.IMGCTL_TEST_NO_BUILD) return;
  execFileSync(process.execPath, [path.join(import.meta.dirname, '../scripts/build.ts')], {stdio: 'inherit'});
}
