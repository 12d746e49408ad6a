/**
 * Reading what SmartOS imgadm left on a disk (spec/imgadm.md §12): imgadm.conf and images/POOL-UUID.json, and
 * sources.list and UUID.json of its first version. Foreign bytes: regular files only, all of it bounded; what cannot be
 * understood is left out with a warning.
 */

import {constants} from 'node:fs';
import {open, opendir} from 'node:fs/promises';
import path from 'node:path';
import {errnoOf, ImgctlError} from '../errors.ts';
import {isUuid} from '../manifest/manifest.ts';
import {checkManifest, maxManifestBytes} from '../manifest/parse.ts';
import {upgradeManifest} from '../manifest/upgrade.ts';

export interface OldImage {
  uuid: string;
  name: string;
  version: string;
  type: string;
  /** Undefined in records of the first version. */
  zpool: string | undefined;
  /** URL of the source it came from, where the record says. */
  source: string | undefined;
}

/** A source as the old configuration has it; its values are of the right kind, no more. */
export interface OldSource {
  url: string;
  type: string;
  insecure?: boolean;
  channel?: string;
}

export interface ImgadmState {
  /** Undefined when none were configured, so that the default applied. */
  sources: OldSource[] | undefined;
  /** None twice; in the order of their UUIDs. */
  images: OldImage[];
  /** What was left out; a sentence each. */
  warnings: string[];
}

const maxEntries = 100_000;
const maxSources = 1000;
/** A record is a manifest and little more. */
const maxFileBytes = 2 * maxManifestBytes;
/** What the first version had without being told (spec/imgadm.md §12: dropped). */
const firstDefault = 'https://datasets.joyent.com/datasets';

/** `directory` is the state directory of either version, or a root that has them. `InvalidArgument` if it is neither. */
export async function readImgadmState(directory: string): Promise<ImgadmState> {
  const reader = new StateReader();
  for (const place of ['', 'var/imgadm']) await reader.readCurrent(path.join(directory, place));
  for (const place of ['', 'var/db/imgadm']) await reader.readFirst(path.join(directory, place));
  if (reader.foundAnything) return reader.state();
  throw new ImgctlError('InvalidArgument', `"${directory}" holds no state of imgadm`, {
    hint: 'give a copy of /var/imgadm or /var/db/imgadm of the old host, or of the directory that holds them',
  });
}

class StateReader {
  foundAnything = false;
  #sources: OldSource[] | undefined;
  /** Data of the first version has become part of the current one. */
  #isUpgraded = false;
  readonly #images = new Map<string, OldImage>();
  readonly #warnings: string[] = [];

  state(): ImgadmState {
    const images = [...this.#images.values()].sort((a, b) => (a.uuid < b.uuid ? -1 : 1));
    return {sources: this.#sources, images, warnings: this.#warnings};
  }

  async readCurrent(directory: string): Promise<void> {
    const file = path.join(directory, 'imgadm.conf');
    const text = await readText(file);
    if (text !== undefined) this.#readConfiguration(text, file);
    const records = path.join(directory, 'images');
    for (const name of await listNames(records)) {
      const [, zpool, uuid] = /^(.{1,255})-([0-9a-f-]{36})\.json$/.exec(name) ?? [];
      if (isUuid(uuid)) await this.#readRecord(path.join(records, name), uuid, zpool);
    }
  }

  async readFirst(directory: string): Promise<void> {
    const file = path.join(directory, 'sources.list');
    const text = this.#isUpgraded ? undefined : await readText(file);
    if (text !== undefined) this.#readSourceList(text);
    for (const name of await listNames(directory)) {
      const uuid = name.endsWith('.json') ? name.slice(0, -5) : '';
      if (isUuid(uuid) && !this.#images.has(uuid))
        await this.#readRecord(path.join(directory, name), uuid, undefined);
    }
  }

  /** The one file without which nothing is known for sure: what is wrong with it ends the migration. */
  #readConfiguration(text: string, file: string): void {
    this.foundAnything = true;
    const {sources, upgradedToVer} = Object(parse(text, file)) as Record<string, unknown>;
    this.#isUpgraded = upgradedToVer !== undefined;
    if (sources === undefined) return;
    if (!Array.isArray(sources) || sources.length > maxSources)
      throw new ImgctlError('ConfigError', `"sources" in config file "${file}" is not a list of sources`);
    this.#sources = sources.flatMap((source) => this.#asSource(source));
  }

  #asSource(value: unknown): OldSource[] {
    const {url, type, insecure, channel} = Object(value) as Record<string, unknown>;
    if (typeof url !== 'string' || url.length > 4096) {
      this.#warnings.push(`a source without a usable URL is left out: ${shorten(JSON.stringify(value))}`);
      return [];
    }
    // Configurations of version 2 have no types.
    const guessed = /\/datasets\/?$/.test(url) ? 'dsapi' : 'imgapi';
    return [
      {
        url,
        type: typeof type === 'string' ? type : guessed,
        ...(insecure === true && {insecure}),
        ...(typeof channel === 'string' && channel !== '' && {channel}),
      },
    ];
  }

  #readSourceList(text: string): void {
    this.foundAnything = true;
    const urls = text.split('\n').flatMap((line) => line.replace(/#.*/, '').trim() || []);
    if (urls.length === 0 || (urls.length === 1 && urls[0]?.replace(/\/$/, '') === firstDefault)) return;
    const known = new Set(this.#sources?.map((source) => source.url));
    const added = urls.slice(0, maxSources).filter((url) => !known.has(url));
    this.#sources = [...(this.#sources ?? []), ...added.map((url) => ({url, type: 'dsapi'}))];
  }

  async #readRecord(file: string, uuid: string, zpool: string | undefined): Promise<void> {
    this.foundAnything = true;
    try {
      const record = Object(parse((await readText(file)) ?? '', file)) as Record<string, unknown>;
      const manifest = upgradeManifest(record.manifest ?? record);
      checkManifest(manifest, 'minimal');
      if (manifest.uuid !== uuid) throw new Error(`it is the record of image "${manifest.uuid}"`);
      const source = typeof record.source === 'string' ? record.source.slice(0, 4096) : undefined;
      const {name, version, type} = manifest;
      this.#images.set(uuid, {uuid, name, version, type, zpool, source});
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#warnings.push(`record "${file}" is left out: ${shorten(reason)}`);
    }
  }
}

/** Undefined when there is no such file. */
async function readText(file: string): Promise<string | undefined> {
  let handle: Awaited<ReturnType<typeof open>> | undefined;
  try {
    handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const {size} = await handle.stat();
    if (!(await handle.stat()).isFile()) throw new ImgctlError('FileSystem', `"${file}" is no regular file`);
    if (size > maxFileBytes)
      throw new ImgctlError('LimitExceeded', `"${file}" is larger than ${maxFileBytes} bytes`);
    const {buffer, bytesRead} = await handle.read(Buffer.alloc(size), 0, size, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw asFailure(error, file);
  } finally {
    await handle?.close();
  }
}

async function listNames(directory: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const entry of await opendir(directory)) {
      if (names.length >= maxEntries)
        throw new ImgctlError('LimitExceeded', `"${directory}" has more than ${maxEntries} entries`);
      names.push(entry.name);
    }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return [];
    throw asFailure(error, directory);
  }
  return names.sort();
}

function asFailure(error: unknown, subject: string): ImgctlError {
  if (error instanceof ImgctlError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new ImgctlError('FileSystem', `cannot read "${subject}": ${reason}`, {cause: error});
}

function parse(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ImgctlError('ConfigError', `"${file}" is not valid JSON`, {cause});
  }
}

function shorten(text: string | undefined): string {
  return String(text).slice(0, 200);
}
