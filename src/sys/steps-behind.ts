/**
 * Work on a file that is being written, on another thread and behind the writer: what was written is still in memory, and
 * neither waits for the other.
 */

/** Below this, the calls cost more than working beside gains. */
const stepBytes = 16 * 1024 * 1024;

export class StepsBehind {
  readonly #step: (from: number, to: number) => Promise<void>;
  #begun = 0;
  #running: Promise<void> | undefined;
  #failure: {error: unknown} | undefined;

  /** A step works on the bytes from one position to another; after one that fails there is no other. */
  constructor(step: (from: number, to: number) => Promise<void>) {
    this.#step = step;
  }

  /** Everything before `position` has been written and stays as it is. */
  reached(position: number): void {
    if (!this.#running && !this.#failure && position - this.#begun >= stepBytes) this.#begin(position);
  }

  /** Resolves when all bytes before `size` were worked on. Rejects as a step did. */
  async finish(size: number): Promise<void> {
    await this.#running;
    if (!this.#failure && this.#begun < size) this.#begin(size);
    await this.#running;
    if (this.#failure) throw this.#failure.error;
  }

  /** Resolves when nothing is being worked on. */
  async settle(): Promise<void> {
    await this.#running;
  }

  #begin(position: number): void {
    const running = this.#step(this.#begun, position);
    this.#begun = position;
    this.#running = running.then(
      () => {
        this.#running = undefined;
      },
      (error: unknown) => {
        this.#failure = {error};
        this.#running = undefined;
      },
    );
  }
}
