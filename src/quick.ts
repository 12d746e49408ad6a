/** Entry of the quick bundle; `start.cjs` calls it. */

import {quickMain} from './cli/quick.ts';
import {quickCommands} from './commands/quick.ts';

export function runQuick(program: 'imgctl' | 'imgadm', argv: readonly string[]): Promise<boolean> {
  return quickMain(quickCommands, program, argv);
}
