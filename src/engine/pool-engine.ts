/**
 * One engine for pools of both kinds: each request goes to the one that keeps the images of its store. Transfers of
 * both are registered in one place, so there is one space of ids (design.md §6).
 */
import {ImgctlError} from '../errors.ts';
import type {EmbeddedEngine} from './embedded/embedded-engine.ts';
import type {SandboxReport} from './embedded/sandbox.ts';
import type {
  ArrivalImporter,
  ArrivingFile,
  BaseImage,
  ConvertRequest,
  ConvertResult,
  DeltaEngine,
  Engine,
  ExportRequest,
  FileConverter,
  ImageCloner,
  ImageMarker,
  ImageRemover,
  ImageStore,
  ImportRequest,
  PullRequest,
  StoredImage,
  Transfer,
  TransferCanceller,
  TransferSummary,
} from './engine.ts';
import {ZfsPoolEngine} from './zfs-pool/zfs-pool-engine.ts';

export class PoolEngine
  implements
    Engine,
    ArrivalImporter,
    ImageRemover,
    ImageMarker,
    ImageCloner,
    TransferCanceller,
    FileConverter,
    DeltaEngine
{
  readonly name = 'embedded';
  readonly #directories: EmbeddedEngine;
  readonly #datasets: ZfsPoolEngine;

  constructor(directories: EmbeddedEngine, runtimeDirectory: string) {
    this.#directories = directories;
    this.#datasets = new ZfsPoolEngine(runtimeDirectory);
  }

  async import(request: ImportRequest): Promise<Transfer> {
    const {store, origin} = request;
    if (isZfs(store)) return this.#datasets.import(request);
    if (!origin || !isZfs(origin.store)) return this.#directories.import(request);
    // Whole images do without; for changes the pool is the wrong one.
    const {origin: _origin, ...alone} = request;
    return this.#directories.import(alone);
  }

  importsArriving(store: ImageStore): boolean {
    return !isZfs(store);
  }

  async importArriving(
    request: ImportRequest & {sourceFd: number; arrival: ArrivingFile},
  ): Promise<Transfer> {
    return this.#directories.importArriving(request);
  }

  async export(request: ExportRequest): Promise<Transfer> {
    return isZfs(request.store) ? this.#datasets.export(request) : this.#directories.export(request);
  }

  async pull(request: PullRequest): Promise<Transfer> {
    if (isZfs(request.store))
      throw new ImgctlError('NotSupported', 'Pools of type zfs take images from files only');
    return this.#directories.pull(request);
  }

  async exportDelta(request: ExportRequest & {base: BaseImage}): Promise<Transfer> {
    if (isZfs(request.store)) return this.#datasets.export(request);
    refuseZfs(request.base.store, 'is made over');
    return this.#directories.exportDelta(request);
  }

  async importDelta(request: ImportRequest & {base: BaseImage; baseDigest?: string}): Promise<Transfer> {
    for (const store of [request.store, request.base.store]) refuseZfs(store, 'goes over');
    return this.#directories.importDelta(request);
  }

  async listTransfers(): Promise<TransferSummary[]> {
    return this.#directories.listTransfers();
  }

  async cancelTransfer(id: number): Promise<boolean> {
    return this.#directories.cancelTransfer(id);
  }

  async listImages(store: ImageStore, options?: {withHidden?: boolean}): Promise<StoredImage[]> {
    return isZfs(store) ? this.#datasets.listImages(store) : this.#directories.listImages(store, options);
  }

  async removeImage(store: ImageStore, name: string): Promise<boolean> {
    return (isZfs(store) ? this.#datasets : this.#directories).removeImage(store, name);
  }

  async markReadOnly(store: ImageStore, name: string): Promise<void> {
    return (isZfs(store) ? this.#datasets : this.#directories).markReadOnly(store, name);
  }

  clonesIn(store: ImageStore): boolean {
    return isZfs(store);
  }

  async cloneImage(store: ImageStore, name: string, cloneName: string): Promise<string> {
    return this.#datasets.cloneImage(store, name, cloneName);
  }

  async convertFile(request: ConvertRequest): Promise<ConvertResult> {
    return this.#directories.convertFile(request);
  }

  async sandboxReport(): Promise<SandboxReport> {
    return this.#directories.sandboxReport();
  }
}

function isZfs(store: ImageStore): boolean {
  return store.dataset !== undefined;
}

/** Layers and disks of changes are put together from files. */
function refuseZfs(store: ImageStore, does: string): void {
  if (!isZfs(store)) return;
  throw new ImgctlError(
    'NotSupported',
    `An incremental image that is no ZFS stream ${does} an image in a directory, not over one in "${store.dataset}"`,
    {hint: 'Import both into a pool that is a directory (-P)'},
  );
}
