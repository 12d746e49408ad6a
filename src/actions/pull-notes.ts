/**
 * What became of pulls: one small file per image, the last pull's. Kept for this boot, for the boot report, and for good, so
 * that a refresh knows what was fetched last. Notes decide nothing else, and one that cannot be read is one that is not there.
 */

import {createHash} from 'node:crypto';
import {mkdir, readFile, rename, rm, writeFile} from 'node:fs/promises';
import path from 'node:path';
import type {Verification} from '../engine/engine.ts';
import type {ImageClass} from '../import1/image-class.ts';

export interface PullNote {
  url: string;
  imageClass: ImageClass;
  localName: string;
  /** When it ended; ISO 8601. */
  endedAt: string;
  outcome: 'pulled' | 'failed';
  verification?: Verification;
  /** Why it failed. */
  error?: {code: string; message: string};
}

export class PullNotes {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Replaces the note of the same image, as a whole. */
  async write(note: PullNote): Promise<void> {
    const file = this.#fileOf(note.imageClass, note.localName);
    const temporary = `${file}.${process.pid}`;
    await mkdir(this.#directory, {recursive: true, mode: 0o755});
    try {
      await writeFile(temporary, `${JSON.stringify(note)}\n`);
      await rename(temporary, file);
    } finally {
      await rm(temporary, {force: true});
    }
  }

  async find(imageClass: ImageClass, localName: string): Promise<PullNote | undefined> {
    try {
      const note: PullNote = JSON.parse(await readFile(this.#fileOf(imageClass, localName), 'utf8'));
      return note.imageClass === imageClass && note.localName === localName ? note : undefined;
    } catch {
      return undefined;
    }
  }

  /** Names may be longer than names of files can be. */
  #fileOf(imageClass: ImageClass, localName: string): string {
    const digest = createHash('sha256').update(localName).digest('hex').slice(0, 32);
    return path.join(this.#directory, `${imageClass}-${digest}.json`);
  }
}
