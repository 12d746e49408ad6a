/**
 * zstd on all cores: frames of a fixed size in a row, which every decoder reads. The bytes depend on the input alone,
 * never on the number of cores. What is yielded is good until the next is asked for, because the buffers are used again.
 */
import {ImgctlError} from '../../../errors.ts';
import {findData} from '../../../sys/contents.ts';
import {ZstdEncoder, type ZstdParameters} from '../../../sys/zstd-codec.ts';

/**
 * As small as importd's level 3 (spec/engine.md §8), with its checksums, for three quarters of the work: one table of
 * 512 KiB, half of a core's own cache, instead of two; a window that reaches farther, 4 MiB, makes up for it; and no
 * search for better ends of blocks. Of a disk of 600 MB and a tree of 358 MB level 3 in frames of 4 MiB made 280.1 and 119.7 MB,
 * the disk for 2.1 s of processor on two cores; this 277.4 and 118.8 MB, for 1.55 s. Of other data sources of programs came out
 * 3 % larger, libraries and manuals 1 % smaller.
 */
const parameters: ZstdParameters = {
  level: 3,
  strategy: 1, // ZSTD_fast
  windowLog: 22,
  hashLog: 17,
  minMatch: 6,
  splitLevel: 1, // none
  checksum: 1,
};
/** Twice the window: frames of 4 MiB made 2 % more of the disk in the same time. */
const frameBytes = 8 * 1024 * 1024;
/** Each takes 18 MiB, and all memory of a command has a limit (design.md §8). */
const maxEncoders = 8;
/** Of frames that are known before it is their turn. */
const maxWaiting = 64;

/** It has copied a piece before it asks for the next. */
type FrameEncoder = (source: Pieces) => AsyncGenerator<Buffer>;
type Pieces = Iterable<Buffer> | AsyncIterable<Buffer>;

/** Undefined where there is no library. */
export function zstdFrameEncoder(cores: number): FrameEncoder | undefined {
  const lanes = Lanes.open(cores);
  return lanes && ((source) => encodeChunks(source, lanes));
}

/** The frames of a whole file, read where they are made; undefined where there is no library. */
export function zstdFileFrames(
  fd: number,
  size: number,
  cores: number,
  onPosition: (position: number) => void,
): AsyncGenerator<Buffer> | undefined {
  const lanes = Lanes.open(cores);
  return lanes && encodeFile(fd, size, lanes, onPosition);
}

async function* encodeChunks(source: Pieces, lanes: Lanes): AsyncGenerator<Buffer> {
  let lane = lanes.take();
  let filled = 0;
  try {
    for await (const chunk of source) {
      for (let done = 0; done < chunk.length; ) {
        if (filled === frameBytes) {
          await lanes.waitForCore();
          lanes.start(lane, encodeChunk(lane, filled));
          yield* lanes.makeRoom();
          lane = lanes.take();
          filled = 0;
        }
        const count = chunk.copy(lane.input, filled, done);
        done += count;
        filled += count;
      }
    }
    await lanes.waitForCore();
    lanes.start(lane, encodeChunk(lane, filled));
    yield* lanes.rest();
  } finally {
    await lanes.settle();
  }
}

async function encodeChunk(lane: ZstdEncoder, length: number): Promise<Frame> {
  return {bytes: await lane.encode(length), isKept: false};
}

async function* encodeFile(
  fd: number,
  size: number,
  lanes: Lanes,
  onPosition: (position: number) => void,
): AsyncGenerator<Buffer> {
  const zeros = new ZeroFrame();
  try {
    for (let position = 0; position === 0 || position < size; position += frameBytes) {
      const length = Math.min(frameBytes, size - position);
      await lanes.waitForCore();
      yield* lanes.makeRoom();
      const lane = lanes.take();
      const isEmpty = length === frameBytes && isHole(fd, position, size);
      lanes.start(lane, isEmpty ? zeros.ofHole(lane) : encodePart(lane, {fd, position, length}, zeros));
      onPosition(position + length);
    }
    yield* lanes.rest();
  } finally {
    await lanes.settle();
  }
}

async function encodePart(
  lane: ZstdEncoder,
  {fd, position, length}: {fd: number; position: number; length: number},
  zeros: ZeroFrame,
): Promise<Frame> {
  const bytes = await lane.encodeFile(fd, position, length);
  if (!bytes) throw new ImgctlError('FileSystem', 'The image became shorter while it was read');
  if (bytes !== 'zeros') return {bytes, isKept: false};
  return length === frameBytes ? await zeros.of(lane) : {bytes: await lane.encode(length), isKept: false};
}

/** Whether there is nothing in the place of a frame. */
function isHole(fd: number, position: number, size: number): boolean {
  const data = findData(fd, position, size);
  return !data || data.start >= position + frameBytes;
}

interface Frame {
  bytes: Buffer;
  /** It does not lie in the encoder that made it, which can go on. */
  isKept: boolean;
}

/** The frame of nothing but zeros, made once. */
class ZeroFrame {
  #bytes: Buffer | undefined;

  async ofHole(lane: ZstdEncoder): Promise<Frame> {
    if (!this.#bytes) lane.input.fill(0);
    return await this.of(lane);
  }

  /** The encoder's input is zeros. */
  async of(lane: ZstdEncoder): Promise<Frame> {
    this.#bytes ??= Buffer.from(await lane.encode(frameBytes));
    return {bytes: this.#bytes, isKept: true};
  }
}

interface Running {
  encoder: ZstdEncoder;
  frame: Promise<Frame>;
  isDone: boolean;
}

/** Encoders side by side, whose frames come out in the order they were begun. */
class Lanes {
  readonly #cores: number;
  readonly #active = new Set<Promise<unknown>>();
  readonly #idle: ZstdEncoder[] = [];
  readonly #running: Running[] = [];

  private constructor(cores: number) {
    this.#cores = Math.min(cores, maxEncoders - 1);
  }

  /** One more than cores, so that none waits for the writer. */
  static open(cores: number): Lanes | undefined {
    const lanes = new Lanes(cores);
    while (lanes.#idle.length <= lanes.#cores) {
      const encoder = ZstdEncoder.open(parameters, frameBytes);
      if (!encoder) return undefined;
      lanes.#idle.push(encoder);
    }
    return lanes;
  }

  /** Yields the frames whose turn it is, and goes on until an encoder is idle. */
  async *makeRoom(): AsyncGenerator<Buffer> {
    for (;;) {
      const [oldest] = this.#running;
      if (oldest?.isDone || this.#running.length >= maxWaiting) yield* this.#next();
      else if (this.#idle.length > 0) return;
      else await Promise.race(this.#active);
    }
  }

  /**
   * Resolves when fewer encode than there are cores: those that take turns on one push each other's tables out of its
   * cache, and three on two cores took a tenth more of processor.
   */
  async waitForCore(): Promise<void> {
    while (this.#active.size >= this.#cores) await Promise.race(this.#active);
  }

  /** An idle one, of which there are some when there is room. */
  take(): ZstdEncoder {
    const encoder = this.#idle.pop();
    if (!encoder) throw new Error('Every encoder is busy');
    return encoder;
  }

  start(encoder: ZstdEncoder, frame: Promise<Frame>): void {
    const running: Running = {encoder, frame, isDone: false};
    this.#running.push(running);
    // A failure is told when it is its turn.
    const end: Promise<unknown> = Promise.allSettled([frame]).then(([result]) => {
      this.#active.delete(end);
      running.isDone = true;
      if (result.status === 'fulfilled' && result.value.isKept) this.#idle.push(encoder);
    });
    this.#active.add(end);
  }

  async *rest(): AsyncGenerator<Buffer> {
    while (this.#running.length > 0) yield* this.#next();
  }

  async settle(): Promise<void> {
    await Promise.allSettled(this.#running.map(({frame}) => frame));
  }

  async *#next(): AsyncGenerator<Buffer> {
    const oldest = this.#running.shift();
    if (!oldest) return;
    const {bytes, isKept} = await oldest.frame;
    yield bytes;
    if (!isKept) this.#idle.push(oldest.encoder);
  }
}
