/** The note beside a partial file: from where it came and with which validator it may be continued. */

import {readFile, writeFile} from 'node:fs/promises';

export interface PartialNote {
  url: string;
  validator: string | undefined;
}

/** A missing or unreadable note means that nothing is known; the digests decide in the end. */
export async function readPartialNote(partial: string): Promise<PartialNote | undefined> {
  try {
    const note = JSON.parse(await readFile(`${partial}.json`, 'utf8'));
    return {
      url: String(note.url),
      validator: typeof note.validator === 'string' ? note.validator : undefined,
    };
  } catch {
    return undefined;
  }
}

export async function writePartialNote(partial: string, note: PartialNote): Promise<void> {
  await writeFile(`${partial}.json`, `${JSON.stringify(note)}\n`, {mode: 0o600});
}
