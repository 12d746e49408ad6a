/**
 * The engine of whoever owns org.freedesktop.import1 on a bus: systemd-importd 252 to 262, or imgctl-importd. It stores
 * nothing itself, sees no more of the disk than the service tells, and hands over only files that are complete.
 *
 * Removing, cloning and marking are calls to org.freedesktop.machine1, which knows images of class machine only. What a
 * service is too old for is refused with `NotSupported`, before anything is done.
 */
import {closeSync} from 'node:fs';
import path from 'node:path';
import type {
  Engine,
  ExportRequest,
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
  TransferType,
} from '../../engine/engine.ts';
import {ImgctlError} from '../../errors.ts';
import {type ImageClass, isImageClass} from '../../import1/image-class.ts';
import {imageNameForms} from '../../import1/image-name.ts';
import {isPullUrl} from '../../import1/pull-url.ts';
import {plainOutput} from '../../sys/plain-descriptor.ts';
import type {BusConnection} from '../bus-connection.ts';
import {BusError} from '../bus-error.ts';
import {import1} from '../import1.ts';
import type {TransferTerms} from './bus-transfer.ts';
import {
  alreadyThere,
  checkIsOpen,
  checkName,
  checkStore,
  flagBits,
  notThere,
  pathOf,
  throwIfAborted,
  tooOld,
  versionedCall,
} from './engine-checks.ts';
import {byName, imagesOfImport1} from './image-list.ts';
import {Import1Service, type ServiceTraits} from './import1-service.ts';
import {Machine1Images} from './machine1-images.ts';
import {asSourceError, openSource} from './source-file.ts';

export interface BusEngineOptions {
  /** Called at most once, when the bus is first needed. */
  connect(): Promise<BusConnection>;
  /** Where the service keeps images of a class; no other store can be used. */
  classDirectory(imageClass: ImageClass): string;
  /** For private copies of files that others could change. */
  scratchDirectory: string;
  /** The service may ask the user for a password. */
  interactive: boolean;
}

const methodNames = {tar: 'Tar', raw: 'Raw', directory: 'FileSystem'} as const;

export class BusEngine implements Engine, ImageRemover, ImageMarker, ImageCloner, TransferCanceller {
  readonly name = 'dbus';
  readonly #options: BusEngineOptions;
  #opened: Promise<{bus: BusConnection; service: Import1Service}> | undefined;

  constructor(options: BusEngineOptions) {
    this.#options = options;
  }

  /** Ends the connection, if there is one; transfers go on without us. */
  async close(): Promise<void> {
    const opened = await this.#opened?.catch(() => undefined);
    await opened?.bus.close();
  }

  async import(request: ImportRequest): Promise<Transfer> {
    const {localName, sourcePath, store, force = false, readOnly = false, signal} = request;
    checkName(localName);
    if (request.sourceFd === undefined && !path.isAbsolute(sourcePath)) {
      throw new ImgctlError('InvalidArgument', `"${sourcePath}" is not an absolute path`);
    }
    const attempted = `Importing "${sourcePath}" as "${localName}"`;
    throwIfAborted(signal, attempted);
    const {service, traits} = await this.#serviceFor(store);
    const {scratchDirectory} = this.#options;
    const source = await openSource({request, scratchDirectory, traits}).catch((error: unknown) => {
      throw asSourceError(error, sourcePath);
    });
    try {
      if (!force) await this.#checkIsFree(store, localName);
      await request.beforeCommit?.({});
      throwIfAborted(signal, attempted);
      const type: TransferType = source.format === 'directory' ? 'import-fs' : `import-${source.format}`;
      const description = {type, imageClass: store.imageClass, localName, remote: ''};
      const result = {path: pathOf(store, localName, source.format), format: source.format, notices: []};
      const member = `Import${methodNames[source.format]}`;
      const call = versionedCall(traits, store.imageClass, {
        old: {member, signature: 'hsbb', body: [0, localName, force, readOnly]},
        ex: {signature: 'hsst', body: [0, localName, store.imageClass, flagBits({force, readOnly})]},
      });
      const terms = {description, attempted, result, signal};
      return await service.start({...call, fds: [source.fd], attempted, action: 'import'}, terms);
    } finally {
      closeSync(source.fd);
    }
  }

  async export(request: ExportRequest): Promise<Transfer> {
    const {format, store, localName, compression, signal} = request;
    checkName(localName);
    checkIsOpen(request.outputFd);
    const attempted = `Exporting image "${localName}"`;
    throwIfAborted(signal, attempted);
    const {service, traits} = await this.#serviceFor(store);
    const stored = await this.#imageToExport(request);
    if (compression === 'zstd' && !traits.decodesZstd) throw tooOld('exports with zstd', '260');
    const description: TransferTerms['description'] = {
      ...{type: `export-${format}`, imageClass: store.imageClass, localName, remote: ''},
    };
    const terms = {description, attempted, result: {path: stored.path, format, notices: []}, signal};
    const call = versionedCall(traits, store.imageClass, {
      old: {member: `Export${methodNames[format]}`, signature: 'shs', body: [localName, 0, compression]},
      ex: {signature: 'sshst', body: [localName, store.imageClass, 0, compression, 0n]},
    });
    // importd refuses descriptors with flags (spec/import1-dbus.md §5).
    const plain = plainOutput(request.outputFd);
    try {
      const fds = [plain ?? request.outputFd];
      return await service.start({...call, fds, attempted, action: 'export'}, terms);
    } finally {
      if (plain !== undefined) closeSync(plain);
    }
  }

  async #imageToExport({format, store, localName}: ExportRequest): Promise<StoredImage> {
    const stored = (await this.#listAll(store)).find((image) => image.name === localName);
    if (!stored) throw notThere(store, localName);
    const isTree = stored.type === 'directory' || stored.type === 'subvolume';
    if (isTree === (format === 'tar')) return stored;
    const text = `image "${localName}" is ${isTree ? 'a directory, not a disk image' : 'a disk image, not a directory'}`;
    throw new ImgctlError('InvalidArgument', text, {details: {errno: isTree ? 'EISDIR' : 'ENOTDIR'}});
  }

  async pull(request: PullRequest): Promise<Transfer> {
    const {format, store, url, localName, verify, signal} = request;
    const {force = false, readOnly = false, keepDownload = false} = request;
    if (!isPullUrl(url)) throw new ImgctlError('InvalidArgument', `URL "${url}" is not valid`);
    if (localName !== undefined) checkName(localName);
    if (typeof verify !== 'string') {
      throw new ImgctlError('NotSupported', 'a literal digest cannot be asked for over the bus', {
        hint: 'use --engine embedded',
      });
    }
    const attempted = `Pulling "${url}"`;
    throwIfAborted(signal, attempted);
    const {service, traits} = await this.#serviceFor(store);
    if (!traits.hasEx && (readOnly || keepDownload)) {
      throw tooOld('read-only pulls and download copies', '256');
    }
    if (localName !== undefined && !force) await this.#checkIsFree(store, localName);
    const type: TransferType = `pull-${format}`;
    const description = {type, imageClass: store.imageClass, localName: localName ?? '', remote: url};
    const result = {path: pathOf(store, localName ?? '', format), format, notices: []};
    const flags = flagBits({force, readOnly, keepDownload});
    const call = versionedCall(traits, store.imageClass, {
      old: {
        member: `Pull${methodNames[format]}`,
        signature: 'sssb',
        body: [url, localName ?? '', verify, force],
      },
      ex: {signature: 'sssst', body: [url, localName ?? '', store.imageClass, verify, flags]},
    });
    return await service.start(
      {...call, attempted, action: 'pull'},
      {description, attempted, result, signal},
    );
  }

  async listTransfers(): Promise<TransferSummary[]> {
    const {service} = await this.#open();
    const attempted = 'Listing transfers';
    const isOld = !(await service.traits()).hasEx;
    const [rows] = isOld
      ? await service.call({member: 'ListTransfers', attempted})
      : await service.call({member: 'ListTransfersEx', signature: 'st', body: ['', 0n], attempted});
    return (rows as unknown[][]).map((row) => {
      const [id, type, remote, localName, imageClass, fraction] = isOld
        ? row.toSpliced(4, 0, 'machine')
        : row;
      const text = String(imageClass);
      return {
        id: Number(id),
        type: String(type) as TransferType,
        imageClass: isImageClass(text) ? text : 'machine',
        localName: String(localName),
        remote: String(remote),
        fraction: Number(fraction) >= 0 ? Number(fraction) : undefined,
      };
    });
  }

  async cancelTransfer(id: number): Promise<boolean> {
    const {service} = await this.#open();
    const attempted = `Cancelling transfer ${id}`;
    try {
      await service.call({member: 'CancelTransfer', signature: 'u', body: [id], attempted, action: 'cancel'});
      return true;
    } catch (error) {
      const {cause} = error as ImgctlError;
      if (cause instanceof BusError && cause.errorName === import1.noSuchTransfer) return false;
      throw error;
    }
  }

  async listImages(store: ImageStore, {withHidden = false} = {}): Promise<StoredImage[]> {
    const images = await this.#listAll(store);
    return withHidden ? images : images.filter((image) => !image.name.startsWith('.'));
  }

  /** Before 256 there are lists of machine images only, and no images of other classes that it knows. */
  async #listAll(store: ImageStore): Promise<StoredImage[]> {
    checkStore(store, this.#options.classDirectory(store.imageClass));
    const {service} = await this.#open();
    const attempted = `Listing the images of class ${store.imageClass}`;
    if ((await service.traits()).hasEx) {
      const body = [store.imageClass, 0n];
      const [rows] = await service.call({member: 'ListImages', signature: 'st', body, attempted});
      return byName(imagesOfImport1(rows, store));
    }
    if (store.imageClass !== 'machine') return [];
    return byName(await (await this.#machine1()).list(store));
  }

  async removeImage(store: ImageStore, name: string): Promise<boolean> {
    this.#checkMachine1(store, name, 'removed');
    return (await this.#machine1()).remove(name);
  }

  async markReadOnly(store: ImageStore, name: string): Promise<void> {
    this.#checkMachine1(store, name, 'marked read-only');
    await (await this.#machine1()).markReadOnly(name);
  }

  async cloneImage(store: ImageStore, name: string, cloneName: string): Promise<string> {
    this.#checkMachine1(store, name, 'cloned');
    checkName(cloneName);
    await (await this.#machine1()).clone(name, cloneName);
    const clone = (await this.#listAll(store)).find((image) => image.name === cloneName);
    return clone?.path ?? path.join(store.directory, cloneName);
  }

  async #machine1(): Promise<Machine1Images> {
    const {bus} = await this.#open();
    return new Machine1Images(bus, this.#options);
  }

  #checkMachine1(store: ImageStore, name: string, what: string): void {
    checkName(name);
    checkStore(store, this.#options.classDirectory(store.imageClass));
    if (store.imageClass === 'machine') return;
    const text = `over the bus only images of class machine can be ${what}, and "${name}" is of class ${store.imageClass}`;
    throw new ImgctlError('NotSupported', text, {hint: 'use --engine embedded'});
  }

  async #checkIsFree(store: ImageStore, name: string): Promise<void> {
    const forms = new Set(imageNameForms(name, store.imageClass));
    const taken = (await this.#listAll(store)).some((image) => {
      return image.name === name || forms.has(path.basename(image.path));
    });
    if (!taken) return;
    throw alreadyThere(store, name);
  }

  async #serviceFor(store: ImageStore): Promise<{service: Import1Service; traits: ServiceTraits}> {
    checkStore(store, this.#options.classDirectory(store.imageClass));
    const {service} = await this.#open();
    return {service, traits: await service.traits()};
  }

  #open(): Promise<{bus: BusConnection; service: Import1Service}> {
    this.#opened ??= this.#connect();
    return this.#opened;
  }

  async #connect(): Promise<{bus: BusConnection; service: Import1Service}> {
    const {connect, interactive} = this.#options;
    const bus = await connect();
    try {
      return {bus, service: await Import1Service.open(bus, {interactive})};
    } catch (error) {
      await bus.close();
      throw error;
    }
  }
}
