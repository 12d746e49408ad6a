/** Native decoders that work in steps, one step ahead of whoever takes what they make. */
import type {ByteReader} from '../../formats/byte-reader.ts';

interface Step {
  /** Bytes of the input that were used up. */
  taken: number;
  bytes: Buffer;
  state: 'more' | 'end' | 'damaged';
}

/** What begins at the reader's place, to its end and no further; `library` is how errors call the decoder. */
export async function* stepAhead(
  decoder: {step(input: Buffer): Promise<Step>},
  reader: ByteReader,
  library: string,
): AsyncGenerator<Buffer> {
  const step = async (): Promise<Step & {isStuck: boolean}> => {
    const input = await reader.peekSome();
    const done = await decoder.step(input);
    if (done.taken > 0) await reader.read(done.taken);
    return {...done, isStuck: input.length === 0 && done.bytes.length === 0};
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
