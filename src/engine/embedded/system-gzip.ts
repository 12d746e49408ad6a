/** gzip by zlib itself. */
import {ByteReader} from '../../formats/byte-reader.ts';
import type {GzipDecoder} from '../../sys/gzip-decoder.ts';
import type {OutputBuffers} from './output-buffers.ts';
import {stepAhead} from './step-ahead.ts';

const magic = Buffer.from([0x1f, 0x8b]);

/** Decodes as `decodeGzip` does: any number of members, zero padding after the last. */
export async function* decodeBySystem(
  decoder: GzipDecoder,
  source: AsyncIterable<Buffer>,
  buffers: OutputBuffers,
): AsyncGenerator<Buffer> {
  const reader = new ByteReader(source);
  const step = async (input: Buffer) => {
    const output = buffers.next();
    const {made, ...done} = await decoder.step(input, output);
    return {...done, bytes: output.subarray(0, made)};
  };
  try {
    do yield* stepAhead({step}, reader, 'zlib');
    while ((await reader.peek(magic.length)).equals(magic));
    await checkPadding(reader);
  } finally {
    await reader.close();
  }
}

async function checkPadding(reader: ByteReader): Promise<void> {
  for await (const bytes of reader.rest())
    if (bytes.some((byte) => byte !== 0)) throw new Error('there is other data after the end');
}
