import {readTar} from '../../formats/tar-reader.ts';
import {EarlySyncing} from '../../sys/contents.ts';
import type {TreeWriter} from './tree-writer.ts';

type Writer = Pick<TreeWriter, 'add' | 'collectTar' | 'leaveChunk' | 'settle'>;

/**
 * Adds every entry of a tar archive; all is there then. The disk is kept busy meanwhile: `top` is on it, and stays open. Each
 * chunk of the archive must be good for three more.
 */
export async function addArchive(bytes: AsyncIterable<Buffer>, writer: Writer, top: number): Promise<void> {
  const early = new EarlySyncing(top);
  const archive = readTar(left(bytes, writer));
  try {
    const collect = writer.collectTar.bind(writer);
    for (;;) {
      early.wrote(archive.giveReady(collect));
      const entry = archive.nextReady() ?? (await archive.next());
      if (!entry) break;
      const isAdded = writer.add(entry);
      if (isAdded) await isAdded;
      early.wrote(entry.size);
    }
    await writer.settle();
  } finally {
    await archive.close();
    await early.settle();
  }
}

/** Who writes still uses chunks that were read: files are made beside, also while the reader skips what comes next. */
async function* left(bytes: AsyncIterable<Buffer>, writer: Writer): AsyncGenerator<Buffer> {
  for await (const chunk of bytes) {
    yield chunk;
    await writer.leaveChunk();
  }
}
