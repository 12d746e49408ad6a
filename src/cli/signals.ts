/** Signals that end a run (ux.md §11). */

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
