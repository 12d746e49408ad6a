/** Ends the output with what tests left as their `closingLine`, and nothing after it. */

import type {Reporter, TestModule} from 'vitest/node';
import {closingLines} from './closing-line.ts';

export default class ClosingLineOfTests implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    process.stdout.write(`\n${closingLines(modules).join('')}`);
  }
}
