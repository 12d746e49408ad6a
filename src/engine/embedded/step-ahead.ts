/** Native decoders that work in steps, one step ahead of whoever takes what they make. */
import type {ByteReader} from '../../formats/byte-reader.ts';
import type {OutputBuffers} from './output-buffers.ts';

interface Step {
  taken: number;
  made: number;
  state: 'more' | 'end' | 'damaged';
}

/** What begins at the reader's place, to its end and no further; `library` is how errors call the decoder. */
export async function* stepAhead(
  decoder: {step(input: Buffer, output: Buffer): Promise<Step>},
  reader: ByteReader,
  {library, buffers}: {library: string; buffers: OutputBuffers},
): AsyncGenerator<Buffer> {
  const step = async (): Promise<Step & {bytes: Buffer; isStuck: boolean}> => {
    const input = await reader.peekSome();
    const output = buffers.next();
    const done = await decoder.step(input, output);
    if (done.taken > 0) await reader.read(done.taken);
    return {...done, bytes: output.subarray(0, done.made), isStuck: input.length === 0 && done.made === 0};
  };
  let running = step();
  try {
    for (;;) {
      const {state, bytes, isStuck} = await running;
      if (state === 'damaged') throw new Error(`${library} reports damaged data`);
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
