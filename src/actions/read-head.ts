import {open} from 'node:fs/promises';
import {sniffBytes} from '../formats/sniff.ts';

/** The first bytes of a file, as many as sniffing needs or as there are. */
export async function readHead(file: string): Promise<Buffer> {
  const handle = await open(file, 'r');
  try {
    const {buffer, bytesRead} = await handle.read(Buffer.alloc(sniffBytes), 0, sniffBytes, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
