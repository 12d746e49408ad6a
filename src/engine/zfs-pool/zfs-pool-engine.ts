/**
 * Images as datasets, where ZFS is on the host (design.md §5): `DATASET/UUID` with the snapshot `@final`, which is the
 * image. Nothing has an image's name before it is whole; work in progress has a name that is nobody's and is swept. zfs(8)
 * does the storing, with argument lists only.
 */
import {closeSync} from 'node:fs';
import {ImgctlError} from '../../errors.ts';
import {type DecompressLimits, defaultDecompressLimits} from '../../formats/decompress.ts';
import {asImgctlError} from '../embedded/failure.ts';
import {openSourceFile} from '../embedded/file-source.ts';
import {startRegistered} from '../embedded/registered-transfer.ts';
import {Sandbox, sandboxLevels} from '../embedded/sandbox.ts';
import {TransferRegistry} from '../embedded/transfer-registry.ts';
import type {BaseImage, ExportRequest, ImageStore, ImportRequest, StoredImage, Transfer} from '../engine.ts';
import {childDataset, finalOf, TemporaryNames} from './dataset-names.ts';
import {readDatasets} from './read-datasets.ts';
import {receiveImage} from './receive.ts';
import {removeDataset} from './remove-dataset.ts';
import {runZfs} from './run-zfs.ts';
import {sendDataset} from './send.ts';
import {NameLocks, removeTemporary, sweepPool} from './sweep.ts';

export class ZfsPoolEngine {
  readonly #names: TemporaryNames;
  readonly #locks: NameLocks;
  readonly #registry: TransferRegistry;
  readonly #sandbox: Sandbox;

  /** Transfers are registered where those of the embedded engine are. */
  constructor(runtimeDirectory: string) {
    this.#names = new TemporaryNames(runtimeDirectory);
    this.#locks = new NameLocks(runtimeDirectory);
    this.#registry = new TransferRegistry(runtimeDirectory);
    const isRoot = process.geteuid?.() === 0;
    this.#sandbox = new Sandbox(sandboxLevels('auto', isRoot), isRoot);
  }

  async import(request: ImportRequest): Promise<Transfer> {
    const {store, localName, sourcePath, sourceFd, force} = request;
    const parent = datasetOf(store);
    if (sourceFd !== undefined || force || request.format === 'directory') {
      throw new ImgctlError(
        'NotSupported',
        `Pools of type zfs take images from files only, under names that are free`,
      );
    }
    const dataset = childDataset(parent, localName);
    await sweepPool(parent, this.#names, this.#locks);
    await this.#checkIsFree(store, localName);
    const description = {type: 'import-raw', imageClass: store.imageClass, localName, remote: ''} as const;
    return await startRegistered({
      registry: this.#registry,
      description,
      outerSignal: request.signal,
      run: (listener, signal) =>
        this.#withTemporary(parent, signal, `Importing "${sourcePath}" as "${localName}"`, async (work) => {
          const source = openSourceFile(sourcePath);
          const {temporary} = work;
          const limits = limitsFor(request);
          try {
            const common = {sandbox: this.#sandbox, limits, signal};
            return await receiveImage({request, source, dataset, ...work, ...common}, listener).catch(
              async (error: unknown) => {
                // What cannot be removed now is swept later; the failure itself matters more.
                await removeTemporary(temporary).catch(() => undefined);
                throw error;
              },
            );
          } finally {
            closeSync(source);
          }
        }),
    });
  }

  async export(request: ExportRequest & {base?: BaseImage}): Promise<Transfer> {
    const {store, localName, base, format} = request;
    const parent = datasetOf(store);
    const dataset = childDataset(parent, localName);
    if (base && base.store.dataset !== parent) {
      throw new ImgctlError('NotSupported', `The origin "${base.localName}" is not in "${parent}"`);
    }
    await sweepPool(parent, this.#names, this.#locks);
    const from = base && finalOf(childDataset(parent, base.localName));
    const type = `export-${format}` as const;
    return await startRegistered({
      registry: this.#registry,
      description: {type, imageClass: store.imageClass, localName, remote: ''},
      outerSignal: request.signal,
      run: (listener, signal) =>
        this.#withTemporary(parent, signal, `Exporting "${localName}"`, ({name, lock}) =>
          sendDataset(
            {request, snapshot: `${dataset}@${name}`, base: from, lock, sandbox: this.#sandbox, signal},
            listener,
          ),
        ),
    });
  }

  async listImages(store: ImageStore): Promise<StoredImage[]> {
    return await readDatasets({imageClass: store.imageClass, dataset: datasetOf(store)});
  }

  async removeImage(store: ImageStore, name: string): Promise<boolean> {
    const parent = datasetOf(store);
    const dataset = childDataset(parent, name);
    await sweepPool(parent, this.#names, this.#locks);
    if (!(await this.#find(store, name))) return false;
    await this.#withTemporary(parent, undefined, `Removing "${dataset}"`, ({temporary}) =>
      removeDataset(dataset, temporary),
    );
    return true;
  }

  /** Gives it its snapshot too, if it has none: that is what makes it an image. */
  async markReadOnly(store: ImageStore, name: string): Promise<void> {
    const image = await this.#find(store, name);
    if (!image?.zfs)
      throw new ImgctlError('ImageNotInstalled', `image "${name}" does not exist in "${datasetOf(store)}"`);
    const {dataset} = image.zfs;
    const attempted = `Marking image "${name}" read-only`;
    const snapshots = await runZfs(
      ['list', '-H', '-d', '1', '-t', 'snapshot', '-o', 'name', dataset],
      attempted,
    );
    if (!snapshots.split('\n').includes(finalOf(dataset)))
      await runZfs(['snapshot', finalOf(dataset)], attempted);
    await runZfs(['set', 'readonly=on', dataset], attempted);
  }

  async cloneImage(store: ImageStore, name: string, cloneName: string): Promise<string> {
    const parent = datasetOf(store);
    const clone = childDataset(parent, cloneName);
    await sweepPool(parent, this.#names, this.#locks);
    await makeClone(finalOf(childDataset(parent, name)), clone);
    return (await this.#find(store, cloneName))?.path ?? clone;
  }

  async #find(store: ImageStore, name: string): Promise<StoredImage | undefined> {
    return (await this.listImages(store)).find((image) => image.name === name);
  }

  async #checkIsFree(store: ImageStore, name: string): Promise<void> {
    if (!(await this.#find(store, name))) return;
    throw new ImgctlError('ImageAlreadyExists', `image "${name}" already exists in "${datasetOf(store)}"`);
  }

  /** Calls `use` with a name that is nobody else's as long as it runs. */
  async #withTemporary<Result>(
    parent: string,
    signal: AbortSignal | undefined,
    attempted: string,
    use: (work: {
      name: string;
      temporary: string;
      lock: NonNullable<ReturnType<NameLocks['take']>>;
    }) => Promise<Result>,
  ): Promise<Result> {
    const name = this.#names.make();
    const lock = this.#locks.take(name);
    if (!lock) throw new ImgctlError('LockTimeout', `"${name}" is in use by another process`);
    try {
      return await use({name, temporary: `${parent}/${name}`, lock});
    } catch (error) {
      throw asImgctlError(error, attempted, signal);
    } finally {
      lock.release({remove: true});
    }
  }
}

/** A clone that cannot be mounted is there all the same, and is taken back. */
async function makeClone(snapshot: string, clone: string): Promise<void> {
  try {
    await runZfs(['clone', snapshot, clone], `Cloning "${snapshot}" to "${clone}"`);
  } catch (error) {
    const said = error instanceof ImgctlError ? String(error.details?.stderr) : '';
    if (/successfully created|cannot mount/.test(said)) await removeTemporary(clone);
    throw error;
  }
}

function datasetOf({dataset}: ImageStore): string {
  if (dataset === undefined) throw new Error('The store is no pool of type zfs');
  return dataset;
}

function limitsFor({maxUnpackedBytes}: ImportRequest): DecompressLimits {
  const {maxOutputBytes} = defaultDecompressLimits;
  return {
    ...defaultDecompressLimits,
    maxOutputBytes: Math.min(maxUnpackedBytes ?? maxOutputBytes, maxOutputBytes),
  };
}
