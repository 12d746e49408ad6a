/** Runs commands beside the real systemd-importd (test/oracle/run.sh), where its tree is built and this is root. */
import {execFile, execFileSync} from 'node:child_process';
import {existsSync} from 'node:fs';
import path from 'node:path';
import {promisify} from 'node:util';

const trees = process.env.IMGCTL_ORACLE_DIR ?? '/var/cache/imgctl-oracle';

export function hasOracle(suite: string): boolean {
  return process.geteuid?.() === 0 && existsSync(path.join(trees, `${suite}.version`));
}

/** Runs a shell script there; `lib` keeps the images. The script sees /tmp and this folder. Returns its output. */
export function runInOracle(suite: string, lib: string, script: string): string {
  const program = path.join(import.meta.dirname, '../oracle/run.sh');
  return execFileSync('bash', [program, '--lib', lib, '--share', lib, suite, '--', 'bash', '-euc', script], {
    encoding: 'utf8',
    cwd: lib,
    // importd's tar writes names only as far as the locale has them.
    env: {...process.env, LC_ALL: 'C.UTF-8'},
  });
}

/**
 * Runs a test file once more, in there; it sees IMGCTL_TEST_INSIDE_ORACLE, the suite, or `ours` where nobody owns
 * org.freedesktop.import1, for imgctl-importd. Rejects with its output.
 */
export async function runVitestInOracle(
  suite: string,
  file: string,
  options: {ours?: boolean} = {},
): Promise<void> {
  const program = path.join(import.meta.dirname, '../oracle/run.sh');
  const root = path.join(import.meta.dirname, '../..');
  const vitest = path.join(root, 'node_modules/.bin/vitest');
  const env = {
    ...process.env,
    IMGCTL_TEST_INSIDE_ORACLE: options.ours ? 'ours' : suite,
    IMGCTL_TEST_NO_BUILD: '1',
  };
  const free = options.ours ? ['--no-importd'] : [];
  const list = [program, ...free, suite, '--', process.execPath, vitest, 'run', '--no-color', file];
  await promisify(execFile)('bash', list, {cwd: root, env, maxBuffer: 1 << 24}).catch((error) => {
    throw new Error(`${error.stdout}\n${error.stderr}`);
  });
}
