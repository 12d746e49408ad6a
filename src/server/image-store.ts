/**
 * The images of a server, in a plain directory: `images/UUID/manifest.json` and `images/UUID/file`. Everything is
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
import {StoredImage} from './stored-image.ts';
import {syncDirectory, writeSynced} from './synced-write.ts';

const manifestName = 'manifest.json';
const fileName = 'file';
const temporaryPrefix = '.tmp-';

export class ImageStore {
  readonly #directory: string;
  readonly #images = new Map<string, StoredImage>();
  #lastChange: Promise<unknown> = Promise.resolve();
  #revision = 0;

  private constructor(directory: string) {
    this.#directory = path.join(directory, 'images');
  }

  /** Reads the index and removes what a crashed server left; `warn` hears of images that are left out. */
  static async open(directory: string, warn: (text: string) => void): Promise<ImageStore> {
    const store = new ImageStore(directory);
    await mkdir(store.#directory, {recursive: true});
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

  /** The image as it is now. A change makes a new object; an old one stays what it was. */
  find(uuid: string): StoredImage | undefined {
    return this.#images.get(uuid);
  }

  all(): Iterable<StoredImage> {
    return this.#images.values();
  }

  filePath(uuid: string): string {
    return path.join(this.#directory, uuid, fileName);
  }

  /** A new name on the same file system, for a file that `attachFile` may take over. */
  temporaryPath(): string {
    return path.join(this.#directory, `${temporaryPrefix}${randomUUID()}`);
  }

  /** Adds an image; `check` runs when no other change can come between. */
  create(manifest: ImageManifest, check: () => void): Promise<StoredImage> {
    return this.#exclusively(async () => {
      check();
      const temporary = this.temporaryPath();
      await mkdir(temporary);
      try {
        await writeSynced(path.join(temporary, manifestName), JSON.stringify(manifest, null, 2));
        await syncDirectory(temporary);
        await rename(temporary, path.join(this.#directory, manifest.uuid));
      } catch (error) {
        await rm(temporary, {recursive: true, force: true});
        throw error;
      }
      await syncDirectory(this.#directory);
      return this.#remember(new StoredImage(manifest));
    });
  }

  /** Replaces the manifest by what `change` makes of the image as it then is; whatever it throws ends the change. */
  update(uuid: string, change: (image: StoredImage) => ImageManifest): Promise<StoredImage> {
    return this.#exclusively(() => this.#replaceManifest(uuid, change));
  }

  /** As `update`, with a new file: a synced one of this file system, which is renamed into place. */
  attachFile(
    uuid: string,
    temporary: string,
    change: (image: StoredImage) => ImageManifest,
  ): Promise<StoredImage> {
    return this.#exclusively(async () => {
      const next = change(this.#existing(uuid));
      // Between the two renames the image has no file, rather than one that does not fit its manifest.
      await this.#replaceManifest(uuid, (image) => ({...image.readManifest(), files: []}));
      await rename(temporary, this.filePath(uuid));
      return this.#replaceManifest(uuid, () => next);
    });
  }

  /** Removes an image; `check` may throw and runs when no other change can come between. */
  remove(uuid: string, check: () => void): Promise<void> {
    return this.#exclusively(async () => {
      check();
      const temporary = this.temporaryPath();
      await rename(path.join(this.#directory, uuid), temporary);
      this.#images.delete(uuid);
      this.#revision += 1;
      await syncDirectory(this.#directory);
      await rm(temporary, {recursive: true, force: true});
    });
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
    await syncDirectory(target);
    return this.#remember(new StoredImage(manifest, await this.#fileTime(uuid)));
  }

  async #load(uuid: string, warn: (text: string) => void): Promise<void> {
    try {
      const text = await readFile(path.join(this.#directory, uuid, manifestName), 'utf8');
      const manifest = JSON.parse(text) as ImageManifest;
      if (manifest.uuid !== uuid) throw new Error(`its manifest says "${manifest.uuid}"`);
      const [wanted] = manifest.files ?? [];
      const file = await stat(this.filePath(uuid)).catch(() => undefined);
      if (wanted !== undefined && file?.size !== wanted.size) {
        warn(
          `file of image ${uuid} is left out: it has ${file?.size ?? 'no'} bytes instead of ${wanted.size}`,
        );
        this.#remember(new StoredImage({...manifest, files: []}));
      } else this.#remember(new StoredImage(manifest, file?.mtime));
    } catch (error) {
      warn(`image ${uuid} is left out: ${error instanceof Error ? error.message : error}`);
    }
  }

  async #fileTime(uuid: string): Promise<Date | undefined> {
    return (await stat(this.filePath(uuid)).catch(() => undefined))?.mtime;
  }

  #existing(uuid: string): StoredImage {
    const image = this.#images.get(uuid);
    if (image === undefined) throw new Error(`image ${uuid} is gone`);
    return image;
  }

  #remember(image: StoredImage): StoredImage {
    this.#images.set(image.uuid, image);
    this.#revision += 1;
    return image;
  }

  /** Changes run one after the other. */
  #exclusively<Result>(change: () => Promise<Result>): Promise<Result> {
    const result = this.#lastChange.then(change);
    this.#lastChange = result.catch(() => undefined);
    return result;
  }
}
