/**
 * Ends the output with plain lines: tests that passed at the second try only, what a test left as its `closingLine`,
 * then the counts, skips included. With `--reporter=./test/closing-line-of-tests.ts` only what tests left is printed.
 */

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
    const lines = [...flickers(modules), ...closingLines(modules)];
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

export function closingLines(modules: readonly TestModule[]): string[] {
  const tests = modules.flatMap((module) => [...module.children.allTests()]);
  return tests.flatMap((test) => {
    const {closingLine} = test.meta();
    return closingLine === undefined ? [] : [`${closingLine}\n`];
  });
}
