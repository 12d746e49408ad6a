/** How much of bzip2 is decoded at once, and the memory for it: all memory of a command has a limit (design.md §8). */
import {availableParallelism} from 'node:os';
import {Bzip2Room} from '../../sys/bzip2-decoder.ts';

/** At once; more than cores were no faster. Each takes 10 MiB. */
const maxRunning = Math.min(availableParallelism(), 6);
/** So many groups are there at their turn, or nearly: what they hold is 2 MB each. */
const ahead = 2;

export class Bzip2Rooms {
  /** Groups that run, wait for a room, or for their turn. */
  readonly groups = maxRunning + ahead;
  readonly #free: Bzip2Room[] = [];
  readonly #waiting: ((room: Bzip2Room) => void)[] = [];
  #made = 0;

  /** Runs it once a room is free, in the order of the calls. */
  async use<Result>(run: (room: Bzip2Room) => Promise<Result>): Promise<Result> {
    const room = await this.#take();
    try {
      return await run(room);
    } finally {
      const next = this.#waiting.shift();
      if (next) next(room);
      else this.#free.push(room);
    }
  }

  /** Nothing runs any more. */
  close(): void {
    for (const room of this.#free) room.close();
  }

  #take(): Bzip2Room | Promise<Bzip2Room> {
    const room = this.#free.pop();
    if (room) return room;
    if (this.#made === maxRunning) return new Promise((resolve) => this.#waiting.push(resolve));
    const made = new Bzip2Room();
    this.#made++;
    return made;
  }
}
