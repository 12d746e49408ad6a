/** zstd by libzstd itself. */
import type {DecompressLimits} from '../../formats/decompress.ts';
import {decodeFrames} from '../../formats/zstd.ts';
import {ZstdDecoder} from '../../sys/zstd-codec.ts';
import {type OutputBuffers, reusedBuffers} from './output-buffers.ts';
import {stepAhead} from './step-ahead.ts';

/** Decodes as `decodeZstd` does: any number of frames. What it yields is good for as long as the buffers would be. */
export function decodeBySystem(
  decoder: ZstdDecoder,
  source: AsyncIterable<Buffer>,
  limits: DecompressLimits,
  buffers: OutputBuffers,
): AsyncGenerator<Buffer> {
  let ring: Buffer = Buffer.alloc(0);
  let ringWindowBytes = -1;
  return decodeFrames(source, limits, (reader, {windowBytes}) => {
    if (windowBytes > ringWindowBytes) {
      ring = ZstdDecoder.ringFor(windowBytes, reusedBuffers);
      ringWindowBytes = windowBytes;
    }
    const step = async (input: Buffer) => {
      const done = await decoder.step(input, ring);
      return buffers.isReused ? done : {...done, bytes: Buffer.from(done.bytes)};
    };
    return stepAhead({step}, reader, 'libzstd');
  });
}
