/**
 * org.freedesktop.import1.Manager: its checks in importd's order, which callers see (spec/import1-dbus.md §5), then a
 * transfer in the table.
 */

import type {StoredImage} from '../../engine/engine.ts';
import type {ImageClass} from '../../import1/image-class.ts';
import {BusError} from '../bus-error.ts';
import type {IncomingCall} from '../bus-messages.ts';
import {
  checkClass,
  checkClassFilter,
  checkFlags,
  checkLocalName,
  checkOciReference,
  checkUrl,
  checkVerify,
  importFlagBits,
  pullFlagBits,
  type TransferFlags,
} from './arguments.ts';
import type {Authority} from './authority.ts';
import {errnoError, invalidArguments} from './call-errors.ts';
import {checkDirectoryDescriptor, checkStreamDescriptor, TakenDescriptor} from './descriptors.ts';
import {managerInterface} from './interfaces.ts';
import type {ServedInterface} from './object-server.ts';
import type {RunningTransfer, TransferRequest, TransferTable} from './transfer-table.ts';

export interface ManagerOptions {
  transfers: TransferTable;
  authority: Authority;
  /** Images of one class, or of all that can be read; rejects with the system error of a class that was named. */
  listImages(imageClass: ImageClass | undefined): Promise<StoredImage[]>;
}

type Handler = (call: IncomingCall) => unknown[] | Promise<unknown[]>;
type ImportType = 'import-tar' | 'import-raw' | 'import-fs';
type ExportType = 'export-tar' | 'export-raw';
type PullType = 'pull-tar' | 'pull-raw';

const noFlags: TransferFlags = {force: false, readOnly: false, keepDownload: false};
const nothing = {verify: undefined, remote: '', format: '', descriptor: undefined};
const unknownBytes = 0xffff_ffff_ffff_ffffn;

export class Manager implements ServedInterface {
  readonly description = managerInterface;
  readonly #options: ManagerOptions;
  readonly #handlers: Readonly<Record<string, Handler>>;

  constructor(options: ManagerOptions) {
    this.#options = options;
    this.#handlers = {
      ImportTar: (call) => this.#import(call, 'import-tar', legacyImport),
      ImportTarEx: (call) => this.#import(call, 'import-tar', extendedImport),
      ImportRaw: (call) => this.#import(call, 'import-raw', legacyImport),
      ImportRawEx: (call) => this.#import(call, 'import-raw', extendedImport),
      ImportFileSystem: (call) => this.#import(call, 'import-fs', legacyImport),
      ImportFileSystemEx: (call) => this.#import(call, 'import-fs', extendedImport),
      ExportTar: (call) => this.#export(call, 'export-tar', legacyExport),
      ExportTarEx: (call) => this.#export(call, 'export-tar', extendedExport),
      ExportRaw: (call) => this.#export(call, 'export-raw', legacyExport),
      ExportRawEx: (call) => this.#export(call, 'export-raw', extendedExport),
      PullTar: (call) => this.#pull(call, 'pull-tar', legacyPull),
      PullTarEx: (call) => this.#pull(call, 'pull-tar', extendedPull),
      PullRaw: (call) => this.#pull(call, 'pull-raw', legacyPull),
      PullRawEx: (call) => this.#pull(call, 'pull-raw', extendedPull),
      PullOci: (call) => this.#pullOci(call),
      ListTransfers: () => [this.#list(undefined).map(legacyRow)],
      ListTransfersEx: ({body}) => [this.#list(checkList(body)).map(extendedRow)],
      CancelTransfer: (call) => this.#cancel(call),
      ListImages: ({body}) => this.#listImages(checkList(body)),
    };
  }

  async call(member: string, call: IncomingCall): Promise<unknown[]> {
    const handler = this.#handlers[member];
    if (!handler) throw errnoError('EOPNOTSUPP');
    return handler(call);
  }

  get(): unknown {
    return undefined;
  }

  async #import(call: IncomingCall, type: ImportType, parse: typeof legacyImport): Promise<unknown[]> {
    await this.#options.authority.check(call, 'org.freedesktop.import1.import');
    const {name, ...wanted} = parse(call.body);
    using input = new TakenDescriptor(call, call.body[0]);
    const {fd: descriptor} = input;
    if (type === 'import-fs') checkDirectoryDescriptor(descriptor);
    else checkStreamDescriptor(descriptor);
    return this.#start({...nothing, ...wanted, type, localName: checkLocalName(name), descriptor});
  }

  async #export(call: IncomingCall, type: ExportType, parse: typeof legacyExport): Promise<unknown[]> {
    await this.#options.authority.check(call, 'org.freedesktop.import1.export');
    const {name, fdIndex, ...wanted} = parse(call.body);
    const localName = checkLocalName(name);
    using output = new TakenDescriptor(call, fdIndex);
    const {fd: descriptor} = output;
    checkStreamDescriptor(descriptor);
    return this.#start({...nothing, ...wanted, type, localName, descriptor});
  }

  async #pull(call: IncomingCall, type: PullType, parse: typeof legacyPull): Promise<unknown[]> {
    const {authority, transfers} = this.#options;
    await authority.check(call, 'org.freedesktop.import1.pull');
    const {url, name, verify, ...wanted} = parse(call.body);
    const remote = checkUrl(url);
    const localName = name === '' ? '' : checkLocalName(name);
    const mode = checkVerify(verify);
    transfers.checkIsNew(type, remote);
    return this.#start({...nothing, ...wanted, type, remote, localName, verify: mode});
  }

  /** Checked as importd checks it, and then refused: registries are not supported. */
  async #pullOci(call: IncomingCall): Promise<never> {
    await this.#options.authority.check(call, 'org.freedesktop.import1.pull');
    const [reference = '', name = '', className = ''] = call.body as string[];
    checkClass(className);
    checkFlags(call.body[3] as bigint, importFlagBits);
    checkOciReference(reference);
    if (name !== '') checkLocalName(name);
    throw errnoError('EOPNOTSUPP');
  }

  #start(request: TransferRequest): unknown[] {
    const {id, path} = this.#options.transfers.start(request);
    return [id, path];
  }

  #list(imageClass: ImageClass | undefined): RunningTransfer[] {
    const all = this.#options.transfers.list();
    return imageClass ? all.filter(({request}) => request.imageClass === imageClass) : all;
  }

  async #cancel(call: IncomingCall): Promise<unknown[]> {
    const {authority, transfers} = this.#options;
    await authority.check(call, 'org.freedesktop.import1.cancel');
    const id = call.body[0] as number;
    if (id === 0) throw invalidArguments('Invalid transfer id');
    const transfer = transfers.find(id);
    if (!transfer) throw new BusError('org.freedesktop.import1.NoSuchTransfer', `No transfer by id ${id}`);
    transfers.cancel(transfer);
    return [];
  }

  async #listImages(imageClass: ImageClass | undefined): Promise<unknown[]> {
    return [(await this.#options.listImages(imageClass)).map(imageRow)];
  }
}

interface Wanted extends TransferFlags {
  name: string;
  imageClass: ImageClass;
}

function legacyImport(body: readonly unknown[]): Wanted {
  const [, name, force, readOnly] = body as [number, string, boolean, boolean];
  return {name, imageClass: 'machine', force, readOnly, keepDownload: false};
}

function extendedImport(body: readonly unknown[]): Wanted {
  const [, name, className, flags] = body as [number, string, string, bigint];
  const imageClass = checkClass(className);
  return {name, imageClass, ...checkFlags(flags, importFlagBits)};
}

function legacyExport(body: readonly unknown[]): Wanted & {fdIndex: number; format: string} {
  const [name, fdIndex, format] = body as [string, number, string];
  return {name, imageClass: 'machine', fdIndex, format, ...noFlags};
}

function extendedExport(body: readonly unknown[]): Wanted & {fdIndex: number; format: string} {
  const [name, className, fdIndex, format, flags] = body as [string, string, number, string, bigint];
  const imageClass = checkClass(className);
  return {name, imageClass, fdIndex, format, ...checkFlags(flags, 0n)};
}

function legacyPull(body: readonly unknown[]): Wanted & {url: string; verify: string} {
  const [url, name, verify, force] = body as [string, string, string, boolean];
  return {url, name, verify, imageClass: 'machine', ...noFlags, force};
}

function extendedPull(body: readonly unknown[]): Wanted & {url: string; verify: string} {
  const [url, name, className, verify, flags] = body as [string, string, string, string, bigint];
  const imageClass = checkClass(className);
  return {url, name, verify, imageClass, ...checkFlags(flags, pullFlagBits)};
}

function checkList(body: readonly unknown[]): ImageClass | undefined {
  const imageClass = checkClassFilter(body[0] as string);
  checkFlags(body[1] as bigint, 0n);
  return imageClass;
}

function legacyRow({id, path, progress, request}: RunningTransfer): unknown[] {
  return [id, request.type, request.remote, request.localName, progress, path];
}

function extendedRow({id, path, progress, request}: RunningTransfer): unknown[] {
  return [id, request.type, request.remote, request.localName, request.imageClass, progress, path];
}

function imageRow(image: StoredImage): unknown[] {
  const usage = bytes(image.usageBytes);
  const limit = bytes(image.limitBytes);
  // importd knows no time of change for trees.
  const times = [BigInt(image.createdUs), image.type === 'directory' ? 0n : BigInt(image.modifiedUs)];
  return [
    image.imageClass,
    image.name,
    image.type,
    image.path,
    image.readOnly,
    ...times,
    usage,
    image.exclusiveBytes === undefined ? usage : BigInt(image.exclusiveBytes),
    limit,
    image.exclusiveLimitBytes === undefined ? limit : BigInt(image.exclusiveLimitBytes),
  ];
}

function bytes(count: number | undefined): bigint {
  return count === undefined ? unknownBytes : BigInt(count);
}
