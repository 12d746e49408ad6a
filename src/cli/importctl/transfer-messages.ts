/** What the client of a transfer and the process that does it say to each other. */

import type {TransferOrder} from '../../actions/transfer-order.ts';
import type {PlaceFlags, ProgramName} from '../context-flags.ts';

/** The first line of the worker's standard input, as JSON: arguments are for everybody to see. */
export interface TransferTask {
  order: TransferOrder;
  /** Whose words a failure is told in. */
  program: ProgramName;
  /** What relative paths start from. */
  cwd: string;
  flags: PlaceFlags;
  /** The output of an export is no regular file, so it is written in place. */
  outputIsSpecial: boolean;
  /** Of the bus service: the worker stops when its standard input ends, and settles what the order left open. */
  isFromBus?: boolean;
  /** Where the image goes, if not to the directory of its class. */
  directory?: string;
}

/** A JSON line each on the worker's standard output. */
export type TransferMessage =
  | {type: 'started'; id: number}
  | {type: 'log'; level: number; line: string}
  | {type: 'progress'; fraction: number | null}
  | {type: 'end'; status: number};
