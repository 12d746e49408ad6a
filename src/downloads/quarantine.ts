/**
 * Files that failed their verification, kept with the reason for whoever wants to see what was served. They lie apart
 * from the cache, readable by their owner only, and nothing ever takes a file from here. A note is written before its
 * file comes and removed after it went, so that no file is without a reason. Bounded: the oldest go first.
 */

import {randomUUID} from 'node:crypto';
import {mkdir, readdir, readFile, rename, rm, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {errnoOf, ImgctlError} from '../errors.ts';
import {sizeOfFile} from './cache-file.ts';

export interface QuarantineOptions {
  directory: string;
  /** Bound of all files together. Of a file that is larger only the note is kept. */
  maxBytes: number;
}

/** Why a file is here. */
export interface QuarantineNote {
  /** Of the bytes that came, lower-case hex; names the entry, so that the same bytes are here once. */
  sha256: string;
  sizeBytes: number;
  /** What the file was to be: an image's UUID, or the URL of a pull. */
  subject: string;
  /** Where it came from; credentials already masked. */
  url: string;
  /** A sentence for people, without its period. */
  reason: string;
  /** RFC 3339 UTC. */
  quarantinedAt: string;
}

export interface QuarantinedFile extends QuarantineNote {
  /** Undefined where the bytes were not kept. */
  path: string | undefined;
}

const noteName = /^([0-9a-f]{64})\.json$/;
/** Notes cost little, but a server that always sends other bytes must not fill the disk with them. */
const maxEntries = 1000;

export class Quarantine {
  readonly #options: QuarantineOptions;

  constructor(options: QuarantineOptions) {
    this.#options = options;
  }

  /**
   * Moves a file here, which must lie on the same file system. When that fails the file is removed all the same: what is
   * not what it should be must not stay where it is, and its failure is told by who found it.
   */
  async keep(file: string, note: Omit<QuarantineNote, 'quarantinedAt'>): Promise<void> {
    try {
      await mkdir(this.#options.directory, {recursive: true, mode: 0o700});
      await this.#write({...note, quarantinedAt: new Date().toISOString()});
      if (note.sizeBytes <= this.#options.maxBytes) await rename(file, this.#fileOf(note.sha256));
      await this.#evict();
    } catch {
      // The reason for which it was to be kept is the error that counts.
    } finally {
      await rm(file, {force: true});
    }
  }

  /** The newest first. */
  async list(): Promise<QuarantinedFile[]> {
    const files: QuarantinedFile[] = [];
    for (const name of await this.#names()) {
      const found = await this.#find(noteName.exec(name)?.[1]);
      if (found) files.push(found);
    }
    return files.sort((a, b) => (a.quarantinedAt < b.quarantinedAt ? 1 : -1));
  }

  /** The one whose digest begins so; `InvalidArgument` unless it is exactly one. */
  async get(prefix: string): Promise<QuarantinedFile> {
    const found = /^[0-9a-f]{4,64}$/.test(prefix)
      ? (await this.list()).filter(({sha256}) => sha256.startsWith(prefix))
      : [];
    if (found.length === 1 && found[0]) return found[0];
    const what = found.length === 0 ? 'no file' : `${found.length} files`;
    throw new ImgctlError('InvalidArgument', `"${prefix}" names ${what} in quarantine`);
  }

  async remove({sha256}: Pick<QuarantineNote, 'sha256'>): Promise<void> {
    const file = this.#fileOf(sha256);
    try {
      await rm(file, {force: true});
      await rm(`${file}.json`, {force: true});
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new ImgctlError('FileSystem', `cannot remove "${file}": ${reason}`, {cause: error});
    }
  }

  async #write(note: QuarantineNote): Promise<void> {
    const temporary = path.join(this.#options.directory, `.#${randomUUID()}`);
    try {
      await writeFile(temporary, `${JSON.stringify(note, null, 2)}\n`, {mode: 0o600, flag: 'wx'});
      await rename(temporary, `${this.#fileOf(note.sha256)}.json`);
    } finally {
      await rm(temporary, {force: true});
    }
  }

  async #evict(): Promise<void> {
    let keptBytes = 0;
    for (const [index, file] of (await this.list()).entries()) {
      if (file.path !== undefined) keptBytes += file.sizeBytes;
      if (keptBytes > this.#options.maxBytes || index >= maxEntries) await this.remove(file);
    }
  }

  /** Undefined for what is no note of ours. */
  async #find(sha256: string | undefined): Promise<QuarantinedFile | undefined> {
    if (sha256 === undefined) return undefined;
    const file = this.#fileOf(sha256);
    try {
      const note = JSON.parse(await readFile(`${file}.json`, 'utf8')) as QuarantineNote;
      if (note.sha256 !== sha256) return undefined;
      return {...note, path: (await sizeOfFile(file)) === undefined ? undefined : file};
    } catch (error) {
      // Another process removed it meanwhile, or it was cut off by a crash.
      if (errnoOf(error) === 'ENOENT' || error instanceof SyntaxError) return undefined;
      throw error;
    }
  }

  async #names(): Promise<string[]> {
    const {directory} = this.#options;
    try {
      return await readdir(directory);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return [];
      const reason = error instanceof Error ? error.message : String(error);
      throw new ImgctlError('FileSystem', `cannot read "${directory}": ${reason}`, {cause: error});
    }
  }

  #fileOf(sha256: string): string {
    return path.join(this.#options.directory, sha256);
  }
}
