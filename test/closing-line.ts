/**
 * Ends the output with plain lines: what a test left as its `closingLine`, then the counts, skips included. With
 * `--reporter=./test/closing-line-of-tests.ts` the counts are left out.
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
    const lines = closingLines(modules);
    process.stdout.write(
      `\n${lines.join('')}${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`,
    );
  }
}

export function closingLines(modules: readonly TestModule[]): string[] {
  const tests = modules.flatMap((module) => [...module.children.allTests()]);
  return tests.flatMap((test) => {
    const {closingLine} = test.meta();
    return closingLine === undefined ? [] : [`${closingLine}\n`];
  });
}
