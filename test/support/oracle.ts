/** Runs commands beside the real systemd-importd (test/oracle/run.sh), where its tree is built and this is root. */
import {execFileSync} from 'node:child_process';
import {existsSync} from 'node:fs';
import path from 'node:path';

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
  });
}
