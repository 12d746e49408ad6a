/** The note beside a partial file: from where it came and with which validator it may be continued. */

import {readFile, rm, writeFile} from 'node:fs/promises';

export interface PartialNote {
  url: string;
  validator: string | undefined;
}

/** A missing or unreadable note means that nothing is known; the digests decide in the end. */
export async function readPartialNote(partial: string): Promise<PartialNote | undefined> {
  try {
    const note = JSON.parse(await readFile(noteOf(partial), 'utf8'));
    return {
      url: String(note.url),
      validator: typeof note.validator === 'string' ? note.validator : undefined,
    };
  } catch {
    return undefined;
  }
}

export async function writePartialNote(partial: string, note: PartialNote): Promise<void> {
  // Made anew each time, so that nothing is written through a link.
  await removePartialNote(partial);
  await writeFile(noteOf(partial), `${JSON.stringify(note)}\n`, {mode: 0o600, flag: 'wx'});
}

export async function removePartialNote(partial: string): Promise<void> {
  await rm(noteOf(partial), {recursive: true, force: true});
}

function noteOf(partial: string): string {
  return `${partial}.json`;
}
