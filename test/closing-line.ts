/**
 * Ends the output with plain lines: tests that passed at the second try only, where tests were skipped and what the
 * machine lacks for them, what a test left as its `closingLine`, then the counts. With
 * `--reporter=./test/closing-line-of-tests.ts` only what tests left is printed.
 */

import {existsSync, readFileSync} from 'node:fs';
import path from 'node:path';
import type {Reporter, TestModule} from 'vitest/node';

declare module 'vitest' {
  interface TaskMeta {
    closingLine?: string;
  }
}

export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const counts = {passed: 0, failed: 0, skipped: 0};
    for (const module of modules) {
      if (module.state() === 'failed' && [...module.children.allTests()].length === 0) counts.failed += 1;
      for (const test of module.children.allTests()) {
        const {state} = test.result();
        if (state !== 'pending') counts[state] += 1;
      }
    }
    const lines = [...flickers(modules), ...skips(modules), ...closingLines(modules)];
    process.stdout.write(
      `\n${lines.join('')}${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`,
    );
  }
}

function flickers(modules: readonly TestModule[]): string[] {
  const tests = modules.flatMap((module) => [...module.children.allTests()]);
  const flaky = tests.filter((test) => test.diagnostic()?.flaky);
  return flaky.map(
    (test) => `passed at the second try: ${test.module.relativeModuleId} > ${test.fullName}\n`,
  );
}

/** Where tests were skipped, and what this machine lacks: nothing else makes a test skip itself. */
function skips(modules: readonly TestModule[]): string[] {
  const lines = modules.flatMap((module) => {
    const count = [...module.children.allTests('skipped')].length;
    return count === 0 ? [] : [`skipped: ${count} in ${module.relativeModuleId}\n`];
  });
  return lines.length === 0
    ? []
    : [...lines, `not on this machine: ${lacks().join(', ') || 'nothing known'}\n`];
}

function lacks(): string[] {
  const trees = process.env.IMGCTL_ORACLE_DIR ?? '/var/cache/imgctl-oracle';
  const files = {
    'systemd 257 (test/oracle/setup.sh trixie)': path.join(trees, 'trixie.version'),
    'systemd 262 (test/oracle/setup.sh sid)': path.join(trees, 'sid.version'),
    'dbus-daemon': '/usr/bin/dbus-daemon',
    gdbus: '/usr/bin/gdbus',
    polkitd: '/usr/lib/polkit-1/polkitd',
    strace: '/usr/bin/strace',
    'systemd-nspawn': '/usr/bin/systemd-nspawn',
    'qemu-img': '/usr/bin/qemu-img',
    'python3-dbus': '/usr/lib/python3/dist-packages/dbus',
    'cloud-init': 'node_modules/.cache/cloud-init',
  };
  const missing = Object.entries(files).filter(([, file]) => !existsSync(file));
  const isRoot = process.geteuid?.() === 0;
  const canBoot = / cgroup2 /.test(readFileSync('/proc/mounts', 'utf8'));
  return [
    ...(isRoot ? [] : ['the rights of root']),
    ...missing.map(([name]) => name),
    ...(canBoot ? [] : ['a mount of cgroup2']),
  ];
}

export function closingLines(modules: readonly TestModule[]): string[] {
  const tests = modules.flatMap((module) => [...module.children.allTests()]);
  return tests.flatMap((test) => {
    const {closingLine} = test.meta();
    return closingLine === undefined ? [] : [`${closingLine}\n`];
  });
}
