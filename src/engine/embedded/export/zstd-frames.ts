/**
 * zstd on all cores: frames of a fixed size in a row, which every decoder reads. The bytes depend on the input alone,
 * never on the number of cores. What is yielded is good until the next is asked for, because the buffers are used again.
 */
import {ImgctlError} from '../../../errors.ts';
import {findData} from '../../../sys/contents.ts';
import {ZstdEncoder} from '../../../sys/zstd-codec.ts';

/** importd's (spec/engine.md §8). */
const level = 3;
/** Twice the window of its level: frames of 1, 2, 4 and 8 MiB made 286, 282, 280 and 278 MB of a disk in the same time. */
const frameBytes = 4 * 1024 * 1024;
/** Each takes 10 MiB, and all memory of a command has a limit (design.md §8). */
const maxEncoders = 9;

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
          lanes.start(lane, lane.encode(filled));
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
    lanes.start(lane, lane.encode(filled));
    yield* lanes.rest();
  } finally {
    await lanes.settle();
  }
}

async function* encodeFile(
  fd: number,
  size: number,
  lanes: Lanes,
  onPosition: (position: number) => void,
): AsyncGenerator<Buffer> {
  let zeros: Promise<Buffer> | undefined;
  try {
    for (let position = 0; position === 0 || position < size; position += frameBytes) {
      const length = Math.min(frameBytes, size - position);
      yield* lanes.makeRoom();
      if (length === frameBytes && isHole(fd, position, size)) {
        zeros ??= lanes.encodeZeros();
        lanes.start(undefined, zeros);
      } else {
        const lane = lanes.take();
        await lanes.waitForCore();
        lanes.start(lane, lane.encodeFile(fd, position, length));
      }
      onPosition(position + length);
    }
    yield* lanes.rest();
  } finally {
    await lanes.settle();
  }
}

/** Whether there is nothing in the place of a frame. */
function isHole(fd: number, position: number, size: number): boolean {
  const data = findData(fd, position, size);
  return !data || data.start >= position + frameBytes;
}

/** Encoders side by side, whose frames come out in the order they were begun. */
class Lanes {
  readonly #cores: number;
  readonly #count: number;
  readonly #active = new Set<Promise<unknown>>();
  readonly #idle: ZstdEncoder[] = [];
  readonly #running: {encoder: ZstdEncoder | undefined; frame: Promise<Buffer | undefined>}[] = [];

  private constructor(cores: number) {
    this.#cores = Math.min(cores, maxEncoders - 1);
    this.#count = this.#cores + 1;
  }

  /** One more than cores, so that none waits for the writer. */
  static open(cores: number): Lanes | undefined {
    const lanes = new Lanes(cores);
    while (lanes.#idle.length < lanes.#count) {
      const encoder = ZstdEncoder.open(level, frameBytes);
      if (!encoder) return undefined;
      lanes.#idle.push(encoder);
    }
    return lanes;
  }

  /** Yields the oldest frame if there are as many as encoders. */
  async *makeRoom(): AsyncGenerator<Buffer> {
    if (this.#running.length >= this.#count) yield* this.#next();
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

  /** What was not made by an encoder keeps its place. */
  start(encoder: ZstdEncoder | undefined, frame: Promise<Buffer | undefined>): void {
    this.#running.push({encoder, frame});
    // A failure is told when it is its turn.
    const end: Promise<unknown> = Promise.allSettled([frame]).then(() => this.#active.delete(end));
    this.#active.add(end);
  }

  /** The frame of nothing but zeros, to be kept. */
  async encodeZeros(): Promise<Buffer> {
    const encoder = this.take();
    encoder.input.fill(0);
    const frame = Buffer.from(await encoder.encode(frameBytes));
    this.#idle.push(encoder);
    return frame;
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
    const frame = await oldest.frame;
    if (!frame) throw new ImgctlError('FileSystem', 'The image became shorter while it was read');
    yield frame;
    if (oldest.encoder) this.#idle.push(oldest.encoder);
  }
}
