/** zstd by libzstd itself, a step ahead of whoever takes what it yields. */
import type {ByteReader} from '../../formats/byte-reader.ts';
import type {DecompressLimits} from '../../formats/decompress.ts';
import {decodeFrames} from '../../formats/zstd.ts';
import type {ZstdDecoder, ZstdStep} from '../../sys/zstd-codec.ts';

/** Of a disk of 1 GiB, 1 MiB took 1.40 s of processor and 256 KiB 1.18. */
const outputBytes = 256 * 1024;

/** Decodes as `decodeZstd` does: any number of frames. The decoder must allow no larger window than the limits. */
export function decodeBySystem(
  decoder: ZstdDecoder,
  source: AsyncIterable<Buffer>,
  limits: DecompressLimits,
): AsyncGenerator<Buffer> {
  return decodeFrames(source, limits, (reader) => decodeFrame(decoder, reader));
}

async function* decodeFrame(decoder: ZstdDecoder, reader: ByteReader): AsyncGenerator<Buffer> {
  const step = async (): Promise<ZstdStep & {bytes: Buffer; isStuck: boolean}> => {
    const input = await reader.peekSome();
    const output = Buffer.allocUnsafeSlow(outputBytes);
    const done = await decoder.step(input, output);
    if (done.taken > 0) await reader.read(done.taken);
    return {...done, bytes: output.subarray(0, done.made), isStuck: input.length === 0 && done.made === 0};
  };
  let running = step();
  try {
    for (;;) {
      const {state, bytes, isStuck} = await running;
      if (state === 'damaged') throw new Error('libzstd reports damaged data');
      if (state === 'more' && isStuck) throw new Error('it ends too early');
      if (state === 'more') {
        running = step();
        running.catch(() => undefined); // it is awaited above, or nobody is interested any more
      }
      if (bytes.length > 0) yield bytes;
      if (state === 'end') return;
    }
  } finally {
    await running.catch(() => undefined);
  }
}
