/** Signals that end a run, and readers that go away (ux.md §11). */

import {ImgctlError} from '../errors.ts';
import type {ProgramName} from './context-flags.ts';
import {exitStatusOf} from './exit-codes.ts';
import {errorReport} from './report-error.ts';

/** The first signal asks everything to stop, the second ends the process at once (ux.md §11). */
export function watchSignals(interrupt: AbortController): void {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (interrupt.signal.aborted) endNow(name === 'SIGHUP' ? 'SIGTERM' : name);
      interrupt.abort(name === 'SIGHUP' ? 'SIGTERM' : name);
    });
  }
}

/** By the signal itself: an orderly exit would wait for reads that never end, of a pipe that nobody writes to say. */
function endNow(name: 'SIGINT' | 'SIGTERM'): void {
  process.removeAllListeners(name);
  process.kill(process.pid, name);
}

/** What a stream fails with whose reader went away. */
const readerGone = new Set(['EPIPE', 'EIO', 'ECONNRESET']);

/**
 * A reader that goes away (`| head`) is no error of ours (ux.md §11), and no reason to leave an import half-way: what
 * is still to be said is lost, no more. Output that cannot be stored is an error, told once.
 */
export function watchOutput(program: ProgramName): void {
  let told = false;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (told || readerGone.has(error.code ?? '')) return;
    told = true;
    const failure = new ImgctlError('FileSystem', `cannot write to stdout: ${error.message}`, {cause: error});
    const options = {program, command: undefined, asJson: false, withStack: false, requestId: ''};
    process.stderr.write(`${errorReport(failure, options)}\n`);
    process.exitCode = exitStatusOf(failure);
  });
  // Nobody is left to be told.
  process.stderr.on('error', () => undefined);
}
