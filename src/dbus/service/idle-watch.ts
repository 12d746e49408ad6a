/** Tells when nothing has gone on for a while, and when nothing goes on. */
export class IdleWatch {
  readonly #idleMs: number;
  readonly #onIdle: () => void;
  #busyCount = 0;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;
  readonly #waiting: (() => void)[] = [];

  /** Zero: never. */
  constructor(idleMs: number, onIdle: () => void) {
    this.#idleMs = idleMs;
    this.#onIdle = onIdle;
    this.#arm();
  }

  /** Something goes on until the result is called. */
  begin(): () => void {
    this.#busyCount += 1;
    clearTimeout(this.#timer);
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      this.#busyCount -= 1;
      this.#arm();
    };
  }

  /** No longer tells; resolves when what goes on is over. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    if (this.#busyCount > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #arm(): void {
    if (this.#busyCount > 0) return;
    for (const resolve of this.#waiting.splice(0)) resolve();
    if (this.#isStopped || this.#idleMs === 0) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#onIdle, this.#idleMs);
  }
}
