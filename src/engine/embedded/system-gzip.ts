/** gzip by native code. */
import {ByteReader} from '../../formats/byte-reader.ts';
import {GzipDecoder} from '../../sys/gzip-decoder.ts';
import {type OutputBuffers, reusedBuffers} from './output-buffers.ts';
import {stepAhead} from './step-ahead.ts';

const magic = Buffer.from([0x1f, 0x8b]);

/**
 * Decodes as `decodeGzip` does: any number of members, zero padding after the last. What it yields is good for as long as the
 * buffers would be.
 */
export async function* decodeNatively(
  source: AsyncIterable<Buffer>,
  buffers: OutputBuffers,
): AsyncGenerator<Buffer> {
  const decoder = new GzipDecoder(reusedBuffers);
  const reader = new ByteReader(source);
  const step = async (input: Buffer) => {
    const done = await decoder.step(input);
    return buffers.isReused ? done : {...done, bytes: Buffer.from(done.bytes)};
  };
  try {
    do yield* stepAhead({step}, reader, 'the decoder');
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
