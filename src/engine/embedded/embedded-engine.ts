/**
 * The engine that stores images itself, without a daemon. Untrusted bytes are decoded only in a child process with
 * few rights; nothing is visible under an image's name before it is whole and synced (design.md §6).
 */
import {fstatSync, mkdirSync, realpathSync} from 'node:fs';
import path from 'node:path';
import {ImgctlError} from '../../errors.ts';
import {type DecompressLimits, defaultDecompressLimits} from '../../formats/decompress.ts';
import {maskUrl} from '../../http/mask-url.ts';
import {isPullUrl} from '../../import1/pull-url.ts';
import {sweepStaging} from '../../sys/staging.ts';
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
  ImageDigester,
  ImageMarker,
  ImageRemover,
  ImageStore,
  ImportRequest,
  PullRequest,
  StoredImage,
  Transfer,
  TransferCanceller,
  TransferResult,
  TransferSummary,
  TransferType,
} from '../engine.ts';
import {runConversion} from './convert/convert-job.ts';
import {EmbeddedTransfer} from './embedded-transfer.ts';
import {digestImage} from './export/digest-image.ts';
import {runExport} from './export/export-job.ts';
import {asImgctlError} from './failure.ts';
import {freeze, isForbidden} from './freeze.ts';
import {checkImageName, checkIsFree, existingForms} from './image-forms.ts';
import {readImages} from './image-list.ts';
import {ImportJob, type ImportOrder} from './import-job.ts';
import {isStream} from './import-source.ts';
import {PullJob} from './pull/pull-job.ts';
import type {PullSupport} from './pull/pull-support.ts';
import {abortsWith, openRecord, startRegistered} from './registered-transfer.ts';
import {deleteImage} from './remove-image.ts';
import {Sandbox, type SandboxMode, type SandboxReport, sandboxLevels} from './sandbox.ts';
import {type TransferDescription, TransferRegistry} from './transfer-registry.ts';

export interface EmbeddedEngineOptions {
  /** Where running transfers are registered; made when missing. All processes of a root use the same. */
  runtimeDirectory: string;
  sandbox?: SandboxMode;
  limits?: Partial<DecompressLimits> & {maxEntries?: number};
  /** Without it, pulls are refused. */
  pull?: PullSupport;
}

const defaultMaxEntries = 5_000_000;
/** Of what strangers send, once decompressed; importd's (spec/engine.md §2). Local files are the caller's own. */
const defaultMaxPulledBytes = 64 * 1024 ** 3;

export class EmbeddedEngine
  implements
    Engine,
    ArrivalImporter,
    ImageRemover,
    ImageMarker,
    ImageDigester,
    TransferCanceller,
    FileConverter,
    DeltaEngine
{
  readonly name = 'embedded';
  readonly #runtimeDirectory: string;
  readonly #limits: DecompressLimits;
  readonly #pullLimits: DecompressLimits;
  readonly #maxEntries: number;
  readonly #sandbox: Sandbox;
  readonly #registry: TransferRegistry;
  readonly #pullSupport: PullSupport | undefined;

  constructor({runtimeDirectory, sandbox = 'auto', limits = {}, pull}: EmbeddedEngineOptions) {
    const {maxEntries = defaultMaxEntries, ...decompressLimits} = limits;
    this.#runtimeDirectory = runtimeDirectory;
    this.#limits = {...defaultDecompressLimits, ...decompressLimits};
    this.#pullLimits = {...this.#limits, maxOutputBytes: defaultMaxPulledBytes, ...decompressLimits};
    this.#maxEntries = maxEntries;
    const isRoot = process.geteuid?.() === 0;
    this.#sandbox = new Sandbox(sandboxLevels(sandbox, isRoot), isRoot);
    this.#registry = new TransferRegistry(runtimeDirectory);
    this.#pullSupport = pull;
  }

  /** Also rejects at once for a file that cannot be stored, whatever its format says. */
  async import(request: ImportOrder): Promise<Transfer> {
    checkImageName(request.localName);
    if (request.sourceFd === undefined && !path.isAbsolute(request.sourcePath)) {
      throw new ImgctlError('InvalidArgument', `"${request.sourcePath}" is not an absolute path`);
    }
    const store = this.#openStore(request.store);
    if (!request.force) checkIsFree(store, request.localName);
    await sweepStaging(store.directory);
    const {origin} = request;
    return await this.#start({
      ...request,
      store,
      ...(origin && {origin: {...origin, store: this.#openStore(origin.store)}}),
    });
  }

  async importArriving(
    request: ImportRequest & {sourceFd: number; arrival: ArrivingFile},
  ): Promise<Transfer> {
    return await this.import(request);
  }

  async importDelta(request: ImportRequest & {base: BaseImage; baseDigest?: string}): Promise<Transfer> {
    return await this.import(request);
  }

  async exportDelta(request: ExportRequest & {base: BaseImage}): Promise<Transfer> {
    return await this.export(request);
  }

  async export(request: ExportRequest & {base?: BaseImage}): Promise<Transfer> {
    const {format, store, localName} = request;
    checkImageName(localName);
    checkIsOpen(request.outputFd);
    const type: TransferType = `export-${format}`;
    const description = {type, imageClass: store.imageClass, localName, remote: ''};
    return await this.#startRegistered(description, request.signal, (listener, signal) =>
      runExport({request, sandbox: this.#sandbox, signal}, listener),
    );
  }

  async pull(request: PullRequest): Promise<Transfer> {
    const {url, localName, format} = request;
    const support = this.#pullSupport;
    if (!support) throw new ImgctlError('NotSupported', 'This engine was set up without downloads');
    if (!isPullUrl(url)) throw new ImgctlError('InvalidArgument', `URL "${url}" is not valid`);
    if (localName !== undefined) checkImageName(localName);
    const store = this.#openStore(request.store);
    if (localName !== undefined && !request.force) checkIsFree(store, localName);
    await sweepStaging(store.directory);
    const type: TransferType = `pull-${format}`;
    const description = {
      type,
      imageClass: store.imageClass,
      localName: localName ?? '',
      remote: maskUrl(url),
    };
    const common = {sandbox: this.#sandbox, limits: this.#pullLimits, maxEntries: this.#maxEntries, support};
    return await this.#startRegistered(description, request.signal, (listener, signal) =>
      new PullJob({...common, request: {...request, store}, signal, listener}).run(),
    );
  }

  async convertFile(request: ConvertRequest): Promise<ConvertResult> {
    const common = {sandbox: this.#sandbox, limits: this.#limits, maxEntries: this.#maxEntries};
    return await runConversion({request, ...common});
  }

  #startRegistered(
    description: TransferDescription,
    outerSignal: AbortSignal | undefined,
    run: (listener: EmbeddedTransfer, signal: AbortSignal) => Promise<TransferResult>,
  ): Promise<Transfer> {
    return startRegistered({registry: this.#registry, description, outerSignal, run});
  }

  async listTransfers(): Promise<TransferSummary[]> {
    return this.#registry.list();
  }

  async cancelTransfer(id: number): Promise<boolean> {
    return this.#registry.cancel(id);
  }

  async listImages(store: ImageStore, {withHidden = false} = {}): Promise<StoredImage[]> {
    return readImages(store, {withHidden});
  }

  async removeImage(store: ImageStore, name: string): Promise<boolean> {
    checkImageName(name);
    try {
      return await deleteImage(store, name);
    } catch (error) {
      throw asImgctlError(error, `Removing image "${name}" from "${store.directory}"`);
    }
  }

  async digestImage(store: ImageStore, name: string, signal: AbortSignal): Promise<string> {
    checkImageName(name);
    return await digestImage({store, name}, {sandbox: this.#sandbox, signal});
  }

  async markReadOnly(store: ImageStore, name: string): Promise<void> {
    checkImageName(name);
    const [form] = existingForms(store, name);
    if (form === undefined) {
      throw new ImgctlError('ImageNotInstalled', `image "${name}" does not exist in "${store.directory}"`);
    }
    const attempted = `Marking image "${name}" read-only`;
    try {
      if (freeze(path.join(store.directory, form)) !== 'unsupported') return;
    } catch (error) {
      if (!isForbidden(error)) throw asImgctlError(error, attempted);
      throw new ImgctlError('NotAuthorized', `${attempted} is not permitted`, {cause: error});
    }
    throw new ImgctlError(
      'NotSupported',
      `${attempted} is not possible on the file system of "${store.directory}"`,
    );
  }

  /** What protects this machine from the archives it unpacks. */
  async sandboxReport(): Promise<SandboxReport> {
    mkdirSync(this.#runtimeDirectory, {recursive: true, mode: 0o700});
    return await this.#sandbox.report(realpathSync(this.#runtimeDirectory));
  }

  /** The store with its directory made and without symbolic links, which sandboxes resolve differently. */
  #openStore(store: ImageStore): ImageStore {
    try {
      mkdirSync(store.directory, {recursive: true, mode: 0o700});
      return {...store, directory: realpathSync(store.directory)};
    } catch (error) {
      throw asImgctlError(error, `Opening "${store.directory}"`);
    }
  }

  async #start(request: ImportOrder): Promise<Transfer> {
    const {controller, release} = abortsWith(request.signal);
    const job = new ImportJob({
      request,
      sandbox: this.#sandbox,
      limits: this.#limitsFor(request),
      maxEntries: this.#maxEntries,
      signal: controller.signal,
    });
    const finished = job.run().finally(release);
    finished.catch(() => undefined); // it is waited for below and by the caller
    return await this.#register(request, job, {controller, finished});
  }

  async #register(
    request: ImportRequest,
    job: ImportJob,
    run: {controller: AbortController; finished: Transfer['finished']},
  ): Promise<Transfer> {
    const {store, localName, sourcePath} = request;
    // What comes through a pipe may take its time, and is seen as a transfer meanwhile.
    const format =
      request.format !== 'auto' && isStream(request.sourceFd) ? request.format : await job.sniffed;
    const type: TransferType = format === 'directory' ? 'import-fs' : `import-${format}`;
    const description = {type, imageClass: store.imageClass, localName, remote: ''};
    const cancel = () => run.controller.abort();
    const record = await openRecord(this.#registry, description, cancel).catch(async (error: unknown) => {
      cancel();
      await run.finished.catch(() => undefined); // it ends by the cancellation
      throw error;
    });
    const finished = run.finished.finally(() => record.close());
    const transfer = new EmbeddedTransfer(description, record, {...run, finished});
    transfer.reportLog(6, `Importing '${sourcePath}', saving as '${localName}'.`);
    transfer.reportLog(6, `Operating on image directory '${store.directory}'.`);
    job.listen(transfer);
    return transfer;
  }

  #limitsFor({maxUnpackedBytes}: ImportRequest): DecompressLimits {
    const maxOutputBytes = Math.min(
      maxUnpackedBytes ?? this.#limits.maxOutputBytes,
      this.#limits.maxOutputBytes,
    );
    return {...this.#limits, maxOutputBytes};
  }
}

function checkIsOpen(fd: number): void {
  try {
    fstatSync(fd);
  } catch (error) {
    throw new ImgctlError('InvalidArgument', `Descriptor ${fd} is not open`, {cause: error});
  }
}
