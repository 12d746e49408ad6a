/**
 * A file that is still arriving, seen from both ends of a pipe: who receives it tells how far it reaches, who reads it
 * waits for that. Only the word that it is whole ends it; the end of the pipe alone is a failure.
 */
import type {Socket} from 'node:net';
import type {Writable} from 'node:stream';

const recordBytes = 8;

/** Tells how far the file reaches, and with `isWhole` that this is all of it. */
export function tellArrival(pipe: Writable, sizeBytes: number, {isWhole}: {isWhole: boolean}): void {
  const record = Buffer.alloc(recordBytes);
  record.writeBigInt64LE(BigInt(isWhole ? -1 - sizeBytes : sizeBytes));
  pipe.write(record);
}

export class Arrival {
  readonly #socket: Socket;
  #rest: Buffer = Buffer.alloc(0);
  #sizeBytes = 0;
  #isWhole = false;
  #failure: Error | undefined;
  #wake = (): void => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (bytes) => this.#take(bytes as Buffer));
    socket.on('error', (error) => this.#fail(error));
    socket.on('end', () => this.#fail(new Error('The file stopped arriving')));
  }

  static async open(fd: number): Promise<Arrival> {
    const net = await import('node:net');
    return new Arrival(new net.Socket({fd, readable: true, writable: false}));
  }

  /** How far the file reaches, once that is as far as wanted or all of it. One call at a time. */
  async reaches(wantedBytes: number): Promise<number> {
    while (this.#sizeBytes < wantedBytes && !this.#isWhole) {
      if (this.#failure) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#sizeBytes;
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(bytes: Buffer): void {
    const all = Buffer.concat([this.#rest, bytes]);
    const end = all.length - (all.length % recordBytes);
    this.#rest = all.subarray(end);
    if (end === 0) return;
    const last = Number(all.readBigInt64LE(end - recordBytes));
    this.#isWhole = last < 0;
    this.#sizeBytes = this.#isWhole ? -1 - last : last;
    this.#wake();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wake();
  }
}
