import {closeSync} from 'node:fs';
import {reflink} from '../../sys/contents.ts';
import {writeFully} from '../../sys/copy-file.ts';
import {openNameless} from '../../sys/descriptors.ts';

/** Whether files in a directory can share blocks; tried on two without names, because nothing tells it. */
export function canShareBlocks(directory: string): boolean {
  const from = openNameless(directory);
  try {
    const to = openNameless(directory);
    try {
      writeFully(from, Buffer.alloc(4096, 1), 0);
      return reflink(from, to);
    } finally {
      closeSync(to);
    }
  } finally {
    closeSync(from);
  }
}
