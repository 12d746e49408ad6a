/**
 * The images of a server, in a plain directory: `images/UUID/manifest.json`, `images/UUID/file`, `images/UUID/icon`. Everything is
 * written under a temporary name, synced and renamed, so that a crash leaves an image as it was or as it should be.
 *
 * The index lives in memory: a directory belongs to one server at a time, and what others change in it shows after
 * a restart. Nothing guards against a second server; since every write is atomic and nothing is ever appended to,
 * two of them can overwrite each other's images but not damage one.
 */
import {randomUUID} from 'node:crypto';
import {mkdir, readdir, readFile, rename, rm, stat} from 'node:fs/promises';
import path from 'node:path';
import {type ImageManifest, isUuid} from '../manifest/manifest.ts';
import {refusals} from './refusals.ts';
import {StoredImage, type StoredTimes} from './stored-image.ts';
import {syncDirectory, writeSynced} from './synced-write.ts';

const manifestName = 'manifest.json';
/** What an image may have beside its manifest, each in a file of that name. */
export type Attachment = 'file' | 'icon';

const temporaryPrefix = '.tmp-';

export class ImageStore {
  readonly #directory: string;
  readonly #images = new Map<string, StoredImage>();
  #lastChange: Promise<unknown> = Promise.resolve();
  #revision = 0;
  #changedAtMs = Date.now();

  private constructor(directory: string) {
    this.#directory = path.join(directory, 'images');
  }

  /** Reads the index and removes what a crashed server left; `warn` hears of images that are left out. */
  static async open(directory: string, warn: (text: string) => void): Promise<ImageStore> {
    const store = new ImageStore(directory);
    if ((await mkdir(store.#directory, {recursive: true})) !== undefined)
      for (const above of [directory, path.dirname(path.resolve(directory))]) await syncDirectory(above);
    for (const name of (await readdir(store.#directory)).sort()) {
      const entry = path.join(store.#directory, name);
      if (name.startsWith(temporaryPrefix)) await rm(entry, {recursive: true, force: true});
      else if (isUuid(name)) await store.#load(name, warn);
    }
    return store;
  }

  /** Grows with every change. */
  get revision(): number {
    return this.#revision;
  }

  /** When the last change was, or this run began: rounded up, so that a client's own clock does not hide a change. */
  get changedAt(): Date {
    return new Date(Math.ceil(this.#changedAtMs / 1000) * 1000);
  }

  /** The image as it is now. A change makes a new object; an old one stays what it was. */
  find(uuid: string): StoredImage | undefined {
    return this.#images.get(uuid);
  }

  all(): Iterable<StoredImage> {
    return this.#images.values();
  }

  pathOf(uuid: string, attachment: Attachment): string {
    return path.join(this.#directory, uuid, attachment);
  }

  /** A new name on the same file system, for a file that `attach` may take over. */
  temporaryPath(): string {
    return path.join(this.#directory, `${temporaryPrefix}${randomUUID()}`);
  }

  /** Adds an image; `check` runs when no other change can come between. */
  create(manifest: ImageManifest, check: () => void): Promise<StoredImage> {
    return this.#exclusively(async () => {
      check();
      let place = this.temporaryPath();
      await mkdir(place);
      try {
        await writeSynced(path.join(place, manifestName), JSON.stringify(manifest, null, 2));
        await syncDirectory(place);
        const target = path.join(this.#directory, manifest.uuid);
        await rename(place, target);
        place = target;
        await syncDirectory(this.#directory);
      } catch (error) {
        await rm(place, {recursive: true, force: true});
        throw error;
      }
      return this.#remember(new StoredImage(manifest, {changedAt: new Date()}));
    });
  }

  /** Replaces the manifest by what `change` makes of the image as it then is; whatever it throws ends the change. */
  update(uuid: string, change: (image: StoredImage) => ImageManifest): Promise<StoredImage> {
    return this.#exclusively(() => this.#replaceManifest(uuid, change));
  }

  /** As `update`, with a new file or icon: a synced one of this file system, which is renamed into place. */
  attach(
    uuid: string,
    {kind, temporary}: {kind: Attachment; temporary: string},
    change: (image: StoredImage) => ImageManifest,
  ): Promise<StoredImage> {
    return this.#exclusively(async () => {
      const before = this.#existing(uuid);
      const next = change(before);
      // Between the two renames the image has none, rather than one that does not fit its manifest.
      await this.#replaceManifest(uuid, (image) => without(image, kind));
      try {
        await rename(temporary, this.pathOf(uuid, kind));
      } catch (error) {
        await this.#replaceManifest(uuid, () => before.readManifest());
        throw error;
      }
      return this.#replaceManifest(uuid, () => next);
    });
  }

  /** As `update`, and removes the image for which `change` returns no manifest. */
  updateOrRemove(uuid: string, change: (image: StoredImage) => ImageManifest | undefined): Promise<void> {
    return this.#exclusively(async () => {
      const next = change(this.#existing(uuid));
      if (next !== undefined) await this.#replaceManifest(uuid, () => next);
      else await this.#remove(uuid);
    });
  }

  async #remove(uuid: string): Promise<void> {
    const temporary = this.temporaryPath();
    await rename(path.join(this.#directory, uuid), temporary);
    this.#images.delete(uuid);
    this.#countChange();
    try {
      await syncDirectory(this.#directory);
    } finally {
      await rm(temporary, {recursive: true, force: true});
    }
  }

  async #replaceManifest(uuid: string, change: (image: StoredImage) => ImageManifest): Promise<StoredImage> {
    const manifest = change(this.#existing(uuid));
    const temporary = this.temporaryPath();
    const target = path.join(this.#directory, uuid);
    try {
      await writeSynced(temporary, JSON.stringify(manifest, null, 2));
      await rename(temporary, path.join(target, manifestName));
    } catch (error) {
      await rm(temporary, {force: true});
      throw error;
    }
    // The index says what is there, also when the disk does not promise to keep it.
    const image = this.#remember(new StoredImage(manifest, await this.#timesOf(uuid)));
    await syncDirectory(target);
    return image;
  }

  async #load(uuid: string, warn: (text: string) => void): Promise<void> {
    try {
      const text = await readFile(path.join(this.#directory, uuid, manifestName), 'utf8');
      const manifest = JSON.parse(text) as ImageManifest;
      if (manifest.uuid !== uuid) throw new Error(`its manifest says "${manifest.uuid}"`);
      const wholes = await this.#wholeAttachments(manifest, warn);
      this.#remember(new StoredImage({...manifest, ...wholes}, await this.#timesOf(uuid)));
    } catch (error) {
      warn(`image ${uuid} is left out: ${error instanceof Error ? error.message : error}`);
    }
  }

  /** The file and the icon of a manifest as far as they are there in full. */
  async #wholeAttachments(
    manifest: ImageManifest,
    warn: (text: string) => void,
  ): Promise<Pick<ImageManifest, 'files' | 'icon'>> {
    const {uuid, files = [], icon} = manifest;
    const isWhole = async (kind: Attachment, sizeBytes: unknown): Promise<boolean> => {
      const found = (await stat(this.pathOf(uuid, kind)).catch(() => undefined))?.size;
      if (found === sizeBytes) return true;
      warn(`${kind} of image ${uuid} is left out: it has ${found ?? 'no'} bytes instead of ${sizeBytes}`);
      return false;
    };
    const [file] = files;
    const hasIcon = typeof icon === 'object' && icon !== null;
    return {
      files: file !== undefined && (await isWhole('file', file.size)) ? files : [],
      icon: hasIcon && (await isWhole('icon', Object(icon).size)) ? icon : undefined,
    };
  }

  async #timesOf(uuid: string): Promise<StoredTimes> {
    const names = [manifestName, 'file', 'icon'];
    const [manifest, file, icon] = await Promise.all(
      names.map((name) => stat(path.join(this.#directory, uuid, name)).catch(() => undefined)),
    );
    return {
      changedAt: manifest?.mtime ?? new Date(),
      fileModifiedAt: file?.mtime,
      iconModifiedAt: icon?.mtime,
    };
  }

  #existing(uuid: string): StoredImage {
    const image = this.#images.get(uuid);
    if (image === undefined) throw refusals.noSuchImage(uuid);
    return image;
  }

  #remember(image: StoredImage): StoredImage {
    this.#images.set(image.uuid, image);
    this.#countChange();
    return image;
  }

  #countChange(): void {
    this.#revision += 1;
    this.#changedAtMs = Date.now();
  }

  /** Changes run one after the other. */
  #exclusively<Result>(change: () => Promise<Result>): Promise<Result> {
    const result = this.#lastChange.then(change);
    this.#lastChange = result.catch(() => undefined);
    return result;
  }
}

function without(image: StoredImage, kind: Attachment): ImageManifest {
  return {...image.readManifest(), ...(kind === 'file' ? {files: []} : {icon: undefined})};
}
