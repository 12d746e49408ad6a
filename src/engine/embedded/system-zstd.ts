/** zstd by libzstd itself. */
import type {DecompressLimits} from '../../formats/decompress.ts';
import {decodeFrames} from '../../formats/zstd.ts';
import type {ZstdDecoder} from '../../sys/zstd-codec.ts';
import type {OutputBuffers} from './output-buffers.ts';
import {stepAhead} from './step-ahead.ts';

/** Decodes as `decodeZstd` does: any number of frames. The decoder must allow no larger window than the limits. */
export function decodeBySystem(
  decoder: ZstdDecoder,
  source: AsyncIterable<Buffer>,
  limits: DecompressLimits,
  buffers: OutputBuffers,
): AsyncGenerator<Buffer> {
  return decodeFrames(source, limits, (reader) => stepAhead(decoder, reader, {library: 'libzstd', buffers}));
}
