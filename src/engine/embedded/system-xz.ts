/** xz by the library of the system, a step ahead of whoever takes what it yields. */
import type {DecompressLimits} from '../../formats/decompress.ts';
import {xzTooLarge} from '../../formats/xz.ts';
import type {XzDecoder, XzStep} from '../../sys/xz-decoder.ts';
import type {OutputBuffers} from './output-buffers.ts';

const noBytes = Buffer.alloc(0);

/** Decodes as `decodeXz` does: any number of streams, padding between and after them. */
export async function* decodeBySystem(
  decoder: XzDecoder,
  source: AsyncIterable<Buffer>,
  limits: DecompressLimits,
  buffers: OutputBuffers,
): AsyncGenerator<Buffer> {
  const input = source[Symbol.asyncIterator]();
  let rest: Buffer = noBytes;
  let isLast = false;
  const step = async (): Promise<XzStep & {bytes: Buffer}> => {
    if (rest.length === 0 && !isLast) {
      const next = await input.next();
      if (next.done) isLast = true;
      else rest = next.value;
    }
    const output = buffers.next();
    const done = await decoder.step(rest, output, {isLast});
    rest = rest.subarray(done.taken);
    return {...done, bytes: output.subarray(0, done.made)};
  };
  let running = step();
  try {
    for (;;) {
      const {state, bytes} = await running;
      if (state === 'tooLarge') throw xzTooLarge(limits);
      if (state === 'damaged') throw new Error('liblzma reports damaged data');
      if (state === 'stuck' && isLast) throw new Error('it ends too early or has other data after the end');
      if (state !== 'end') {
        running = step();
        running.catch(() => undefined); // it is awaited above, or nobody is interested any more
      }
      if (bytes.length > 0) yield bytes;
      if (state === 'end') return;
    }
  } finally {
    await running.catch(() => undefined);
    await input.return?.();
  }
}
