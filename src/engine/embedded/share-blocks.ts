import {closeSync} from 'node:fs';
import {reflink} from '../../sys/contents.ts';
import {writeFully} from '../../sys/copy-file.ts';
import {openUnnamed} from './unnamed-file.ts';

/** Whether files in a staging directory can share blocks; tried, because nothing tells it. */
export function canShareBlocks(directory?: string): boolean {
  const from = openUnnamed(directory);
  try {
    const to = openUnnamed(directory);
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
