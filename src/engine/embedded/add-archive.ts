import {readTar} from '../../formats/tar-reader.ts';
import {EarlySyncing} from '../../sys/contents.ts';
import type {TreeWriter} from './tree-writer.ts';

/** Adds every entry of a tar archive; all is there then. The disk is kept busy meanwhile: `top` is on it, and stays open. */
export async function addArchive(
  bytes: AsyncIterable<Buffer>,
  writer: Pick<TreeWriter, 'add' | 'settle'>,
  top: number,
): Promise<void> {
  const early = new EarlySyncing(top);
  const archive = readTar(bytes);
  try {
    for (;;) {
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
