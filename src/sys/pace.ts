import {setImmediate as turn} from 'node:timers/promises';

/** Lets long work of blocking calls give way: to other work of the process, and to an abort. */
export class Pace {
  readonly #signal: AbortSignal | undefined;
  #last = performance.now();

  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  /** Call between steps; throws the signal's reason once it is aborted. */
  async step(): Promise<void> {
    if (performance.now() - this.#last >= 20) {
      await turn();
      this.#last = performance.now();
    }
    this.#signal?.throwIfAborted();
  }
}
