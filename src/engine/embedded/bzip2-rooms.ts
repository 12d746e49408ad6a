/** How much of bzip2 is decoded at once, and the memory for it: all memory of a command has a limit (design.md §8). */
import {availableParallelism} from 'node:os';
import {Bzip2Room} from '../../sys/bzip2-decoder.ts';

/** At once; more than cores were no faster. */
const maxRunning = Math.min(availableParallelism(), 8);
/** 3.6 MB each. Making a text waits for memory at every byte, and three wait together; a fourth gained nothing. */
const maxBlocks = 16;
const besideAtMost = 3;

export class Bzip2Rooms {
  /** Blocks of one group. */
  readonly beside = Math.max(1, Math.min(besideAtMost, Math.floor(maxBlocks / maxRunning)));
  /** Groups that run, wait for a room, or for their turn; of each block 0.9 MB are kept. */
  readonly waiting = maxRunning * 2;
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
    const made = new Bzip2Room(this.beside);
    this.#made++;
    return made;
  }
}
