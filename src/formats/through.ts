import {type Duplex, pipeline, Readable} from 'node:stream';

/** Sends a source through a decoder and yields what comes out. Ending early destroys both. */
export async function* through(source: AsyncIterable<Buffer>, decoder: Duplex): AsyncGenerator<Buffer> {
  // The iteration below reports every failure, the source's too, because pipeline destroys the decoder with it.
  pipeline(Readable.from(source, {objectMode: true, highWaterMark: 1}), decoder, () => undefined);
  for await (const chunk of decoder) yield chunk as Buffer;
}
