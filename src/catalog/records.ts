/**
 * Records: one `UUID.json` per installed image, the truth about what an image is (design.md §4). Written synced
 * and whole before the data becomes visible; a record without data is not an installed image.
 */

import {readdirSync, readFileSync} from 'node:fs';
import {mkdir, open, readdir, readFile, rename, rm} from 'node:fs/promises';
import path from 'node:path';
import {errnoOf, ImgctlError, isNoSpace} from '../errors.ts';
import {type ImageManifest, isUuid} from '../manifest/manifest.ts';

/** How the bytes of an image were verified when it was installed. */
export type VerificationLevel = 'none' | 'checksum' | 'signature';

export interface InstanceRecord {
  name: string;
  /** RFC 3339 UTC. */
  createdAt: string;
}

export interface ImageRecord {
  manifest: ImageManifest;
  /** Pool name, and the image's name in that pool's directory. */
  pool: string;
  localName: string;
  /** URL of the source as the user typed it; absent when installed from a file. */
  source?: string;
  /** Digests of the file as transferred; absent when the data was there before the record. */
  digests?: {sha1: string; sha256: string; sizeBytes: number};
  /** `sha256:HEX` of what was stored; absent in records from before it was noted, and where it could not be read. */
  contentDigest?: string;
  verification: {level: VerificationLevel; keyId?: string};
  /** RFC 3339 UTC. */
  installedAt: string;
  instances: InstanceRecord[];
  /** Lists pass over it (imgadm's `imgadm:ignore`). */
  ignored?: boolean;
}

/** Compares a directory with names, joined by slashes: gives the others with the suffix, or undefined when one is missing. */
export type CompareNames = (
  directory: string,
  wanted: string,
  forms: {suffix: string; takesDirectories: boolean},
) => string[] | undefined;

const asideName = 'aside';
/** `.#UUID.UUID`: the image, and a name of its own for each writing. */
const temporaryName = /^\.#[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[0-9a-f-]{36}$/;

export class RecordStore {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** UUIDs that have a record; what is no record file is passed over. */
  async listUuids(): Promise<string[]> {
    try {
      const names = readdirSync(this.#directory);
      return uuidsAmong(names.filter((name) => name.endsWith('.json')).map((name) => name.slice(0, -5)));
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return [];
      throw this.#failure('read', this.#directory, error);
    }
  }

  /** Whether these, joined by slashes, are the UUIDs that have a record. */
  areAll(uuids: string, compare: CompareNames): boolean {
    const others = compare(this.#directory, uuids, {suffix: '.json', takesDirectories: false});
    return others !== undefined && !others.some(isUuid);
  }

  /** Undefined when there is none; `FileSystem` when it cannot be read as a record. */
  async find(uuid: string): Promise<ImageRecord | undefined> {
    if (!isUuid(uuid)) return undefined;
    const file = this.#fileOf(uuid);
    try {
      const record = JSON.parse(readFileSync(file, 'utf8'));
      if (!isRecordOf(uuid, record)) throw new Error('it is not the record of this image');
      return {...record, instances: record.instances ?? []};
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw this.#failure('read', file, error);
    }
  }

  /** Whether the text stands in the record's file, readable as a record or not; false where the disk does not give it. */
  async mentions(uuid: string, text: string): Promise<boolean> {
    const bytes = await readFile(this.#fileOf(uuid)).catch(() => undefined);
    return bytes?.includes(text) ?? false;
  }

  /** On return the record is on disk, also after a power cut. */
  async write(record: ImageRecord): Promise<void> {
    const file = this.#fileOf(record.manifest.uuid);
    // Loaded here: that takes half as long as Node to start, and most only read.
    const {randomUUID} = await import('node:crypto');
    const temporary = path.join(this.#directory, `.#${record.manifest.uuid}.${randomUUID()}`);
    try {
      await makeDirectory(this.#directory);
      const handle = await open(temporary, 'wx', 0o644);
      try {
        await handle.writeFile(`${JSON.stringify(record, null, 2)}\n`);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(temporary, file);
      await syncDirectory(this.#directory);
    } catch (error) {
      await rm(temporary, {force: true}).catch(() => undefined);
      throw this.#failure('write', file, error);
    }
  }

  /** Where a record goes that is no image's any more but may be one's again: a disk that is not mounted takes many away. */
  async setAside(uuid: string): Promise<void> {
    await this.#move(this.#fileOf(uuid), this.#asideOf(uuid));
  }

  /** Moves what cannot be read as a record to `UUID.json.damaged`. */
  async setDamagedAside(uuid: string): Promise<void> {
    await this.#move(this.#fileOf(uuid), `${this.#fileOf(uuid)}.damaged`);
  }

  /** Undone; false when there is none, or a newer one in its place. */
  async bringBack(uuid: string): Promise<boolean> {
    if ((await this.find(uuid)) !== undefined) return false;
    return this.#move(this.#asideOf(uuid), this.#fileOf(uuid));
  }

  /** Records that are set aside; those that cannot be read are passed over. */
  async listAside(): Promise<ImageRecord[]> {
    const aside = new RecordStore(path.join(this.#directory, asideName));
    const records: ImageRecord[] = [];
    for (const uuid of await aside.listUuids()) {
      const record = await aside.find(uuid).catch(() => undefined);
      if (record) records.push(record);
    }
    return records;
  }

  /** What a killed writer left, as paths; of records that nobody is writing now. */
  async listLeftovers(): Promise<string[]> {
    const names = await readdir(this.#directory).catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return [];
      throw this.#failure('read', this.#directory, error);
    });
    return names.filter((name) => temporaryName.test(name)).map((name) => path.join(this.#directory, name));
  }

  async #move(from: string, to: string): Promise<boolean> {
    try {
      await makeDirectory(path.dirname(to));
      await rename(from, to);
      for (const directory of new Set([path.dirname(to), this.#directory])) await syncDirectory(directory);
      return true;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return false;
      throw this.#failure('move', from, error);
    }
  }

  async remove(uuid: string): Promise<void> {
    const file = this.#fileOf(uuid);
    try {
      await rm(file, {force: true});
    } catch (error) {
      throw this.#failure('remove', file, error);
    }
  }

  #fileOf(uuid: string): string {
    if (!isUuid(uuid)) throw new ImgctlError('InvalidUUID', `invalid uuid: "${uuid}"`);
    return path.join(this.#directory, `${uuid}.json`);
  }

  #asideOf(uuid: string): string {
    return path.join(this.#directory, asideName, path.basename(this.#fileOf(uuid)));
  }

  #failure(verb: string, file: string, error: unknown): ImgctlError {
    const reason = error instanceof Error ? error.message : String(error);
    const code = isNoSpace(error) ? 'NoSpace' : 'FileSystem';
    return new ImgctlError(code, `cannot ${verb} record "${file}": ${reason}`, {cause: error});
  }
}

/** UUIDs between slashes, which no file name has. */
const uuidsInARow = /^(?:\/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})*$/;

/** Looked at by the thousand: to look at each takes as long as reading the directory. */
function uuidsAmong(names: readonly string[]): string[] {
  const uuids: string[] = [];
  for (let start = 0; start < names.length; start += 1000) {
    const part = names.slice(start, start + 1000);
    uuids.push(...(uuidsInARow.test(`/${part.join('/')}`) ? part : part.filter(isUuid)));
  }
  return uuids;
}

function isRecordOf(uuid: string, value: unknown): value is ImageRecord {
  const {manifest, pool, localName, instances = []} = Object(value) as Partial<ImageRecord>;
  return (
    manifest?.uuid === uuid &&
    typeof pool === 'string' &&
    typeof localName === 'string' &&
    !localName.includes('/') &&
    Array.isArray(instances) &&
    instances.every((instance) => typeof Object(instance).name === 'string')
  );
}

/**
 * A new directory is on disk when its parent is synced: a record in it would be lost with it, and its image be nobody's.
 * The parents may be new too, made for the catalog a moment ago; those that this user may not read are not of his making.
 */
async function makeDirectory(directory: string): Promise<void> {
  if ((await mkdir(directory, {recursive: true, mode: 0o755})) === undefined) return;
  for (let made = path.resolve(directory); made !== '/'; made = path.dirname(made)) {
    try {
      await syncDirectory(path.dirname(made));
    } catch (error) {
      if (!['EACCES', 'EPERM', 'EINVAL'].includes(errnoOf(error) ?? '')) throw error;
      return;
    }
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
