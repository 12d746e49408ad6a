/**
 * When the newest signed list of each place was signed, as far as it was seen here: whoever holds a server or the way to it
 * can serve an older one, whose signature is as good as ever, and with it an image whose holes are known. One small file per
 * list, written whole; what cannot be read as one was never seen.
 */

import {createHash} from 'node:crypto';
import {mkdir, open, readFile, rename, rm} from 'node:fs/promises';
import path from 'node:path';
import {ImgctlError} from '../errors.ts';
import {waitForLock} from '../sys/lock.ts';

export interface SignedList {
  /** Without secrets. */
  url: string;
  signedAt: Date;
  /** Of the key that signed it. */
  fingerprint: string;
}

export class SignedLists {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Takes note of a list whose signature is good; `SourceDowngraded` when a newer one was seen at its place. */
  async accept(list: SignedList): Promise<void> {
    const file = path.join(this.#directory, `${createHash('sha256').update(list.url).digest('hex')}.json`);
    await mkdir(this.#directory, {recursive: true, mode: 0o755});
    const lock = await waitForLock(`${file}.lock`);
    try {
      const seenAt = await this.#find(file, list.url);
      if (seenAt && seenAt > list.signedAt) throw downgraded(list, seenAt, file);
      if (!seenAt || seenAt < list.signedAt) await this.#write(file, list);
    } finally {
      lock.release({remove: true});
    }
  }

  async #find(file: string, url: string): Promise<Date | undefined> {
    try {
      const note = JSON.parse(await readFile(file, 'utf8'));
      const signedAt = new Date(note.signedAt);
      return note.url === url && !Number.isNaN(signedAt.getTime()) ? signedAt : undefined;
    } catch {
      return undefined;
    }
  }

  async #write(file: string, {url, signedAt, fingerprint}: SignedList): Promise<void> {
    const temporary = `${file}.${process.pid}`;
    try {
      await using handle = await open(temporary, 'w', 0o644);
      await handle.writeFile(`${JSON.stringify({url, signedAt, fingerprint})}\n`);
      await handle.sync();
      await rename(temporary, file);
    } finally {
      await rm(temporary, {force: true});
    }
  }
}

function downgraded({url, signedAt, fingerprint}: SignedList, seenAt: Date, file: string): ImgctlError {
  const [older, newer] = [signedAt, seenAt].map((date) => date.toISOString());
  return new ImgctlError(
    'SourceDowngraded',
    `"${url}" was signed at ${older}, but one signed at ${newer} was seen there before`,
    {
      details: {url, signedAt: older, seenAt: newer, fingerprint},
      hint: `if the older one is what you want, remove "${file}"`,
    },
  );
}
