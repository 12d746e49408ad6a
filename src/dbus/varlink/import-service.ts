/** io.systemd.Import over the table of transfers, with org.varlink.service and io.systemd.service beside it (spec/import1-dbus.md §10). */

import {constants} from 'node:os';
import path from 'node:path';
import {type ImageClass, imageClasses} from '../../import1/image-class.ts';
import {isImageName} from '../../import1/image-name.ts';
import {isPullUrl} from '../../import1/pull-url.ts';
import {busErrorNames} from '../bus-error.ts';
import type {Authority} from '../service/authority.ts';
import {asBusError} from '../service/call-errors.ts';
import type {LogSettings} from '../service/log-control.ts';
import type {RunningTransfer, TransferTable, VerifyWord} from '../service/transfer-table.ts';
import {type Parameters, type VarlinkCall, VarlinkError, type VarlinkHandler} from './connection.ts';
import {interfaceDescriptions} from './descriptions.ts';
import {checkParameters, invalidParameter, isFlag, isText, oneOf} from './parameters.ts';

export interface ImportServiceOptions {
  transfers: TransferTable;
  authority: Authority;
  logSettings: LogSettings;
  /** Directories that images may be put in or below. */
  imageRoots: readonly string[];
  version: string;
  /** What `GetEnvironment` tells those with the service's rights. */
  environment: Readonly<Record<string, string | undefined>>;
}

const pullTable = {
  required: {remote: isText, type: oneOf('raw', 'tar'), class: oneOf(...imageClasses)},
  optional: {
    local: isText,
    verify: oneOf('no', 'checksum', 'signature'),
    force: isFlag,
    readOnly: isFlag,
    keepDownload: isFlag,
    imageRoot: (value: unknown) => isText(value) && path.isAbsolute(value as string),
    allowInteractiveAuthentication: isFlag,
  },
};
const noParameters = {required: {}, optional: {}};

interface PullParameters {
  remote: string;
  local?: string;
  type: 'raw' | 'tar';
  class: ImageClass;
  verify?: VerifyWord;
  force?: boolean;
  readOnly?: boolean;
  keepDownload?: boolean;
  imageRoot?: string;
  allowInteractiveAuthentication?: boolean;
}

export class ImportVarlink {
  readonly #options: ImportServiceOptions;
  readonly #handlers: ReadonlyMap<string, VarlinkHandler>;

  constructor(options: ImportServiceOptions) {
    this.#options = options;
    this.#handlers = new Map<string, VarlinkHandler>([
      ['io.systemd.Import.Pull', (call) => this.#pull(call)],
      ['io.systemd.Import.ListTransfers', (call) => this.#list(call)],
      ['io.systemd.service.Ping', () => ({})],
      ['io.systemd.service.GetLogLevel', () => ({level: options.logSettings.level})],
      ['io.systemd.service.SetLogLevel', (call) => this.#setLogLevel(call)],
      ['io.systemd.service.GetEnvironment', (call) => this.#environment(call)],
      ['org.varlink.service.GetInfo', () => this.#information()],
      ['org.varlink.service.GetInterfaceDescription', ({parameters}) => describe(parameters)],
    ]);
  }

  async answer(call: VarlinkCall): Promise<Parameters> {
    const handler = this.#handlers.get(call.method);
    if (!handler) throw new VarlinkError('org.varlink.service.MethodNotFound', {method: call.method});
    try {
      return await handler(call);
    } catch (error) {
      throw asVarlinkError(error);
    }
  }

  #list(call: VarlinkCall): Parameters {
    const wanted = checkParameters(call.parameters, {
      required: {},
      optional: {class: oneOf(...imageClasses)},
    });
    if (!call.more) throw new VarlinkError('org.varlink.service.ExpectedMore');
    const rows = this.#options.transfers
      .list()
      .filter(({request}) => wanted.class === undefined || request.imageClass === wanted.class)
      .map(transferRow);
    const last = rows.pop();
    if (!last) throw new VarlinkError('io.systemd.Import.NoTransfers');
    for (const row of rows) call.reply(row);
    return last;
  }

  async #pull(call: VarlinkCall): Promise<Parameters> {
    const {transfers, authority} = this.#options;
    const wanted = checkParameters(call.parameters, pullTable) as unknown as PullParameters;
    const {remote, local = '', verify = 'signature', imageRoot} = wanted;
    if (!isPullUrl(remote)) throw invalidParameter('remote');
    if (local !== '' && !isImageName(local)) throw invalidParameter('local');
    if (imageRoot !== undefined && !this.#isBelowRoots(imageRoot)) throw invalidParameter('imageRoot');
    const type = `pull-${wanted.type}` as const;
    if (transfers.list().some(({request}) => request.type === type && request.remote === remote))
      throw new VarlinkError('io.systemd.Import.AlreadyInProgress', {remote});
    await authority.checkPeer(call.peer, 'org.freedesktop.import1.pull', {
      mayInteract: wanted.allowInteractiveAuthentication ?? false,
      details: {remote, local, class: wanted.class, type: wanted.type, verify},
    });
    const {force = false, readOnly = false, keepDownload = false} = wanted;
    const transfer = transfers.start({
      ...{type, imageClass: wanted.class, localName: local, remote, verify, force, readOnly, keepDownload},
      ...{format: '', descriptor: undefined, directory: imageRoot},
    });
    if (!call.more) return {id: transfer.id};
    return this.#follow(call, transfer);
  }

  /** Tells the caller everything, to the end; a caller that goes away takes the transfer with it. */
  async #follow(call: VarlinkCall, transfer: RunningTransfer): Promise<Parameters> {
    const {transfers} = this.#options;
    const {promise, resolve, reject} = Promise.withResolvers<Parameters>();
    const only = (other: RunningTransfer, tell: () => void) => void (other === transfer && tell());
    const stop = transfers.listen({
      onNew: () => undefined,
      onLog: (other, priority, message) => only(other, () => call.reply({log: {priority, message}})),
      onProgress: (other, progress) => only(other, () => call.reply({progress})),
      onRemoved: (other, result) =>
        only(other, () => {
          if (result === 'done') return resolve({});
          const word = result === 'canceled' ? 'TransferCancelled' : 'TransferFailed';
          reject(new VarlinkError(`io.systemd.Import.${word}`));
        }),
    });
    call.reply({id: transfer.id});
    const cancel = () => transfers.cancel(transfer);
    call.gone.addEventListener('abort', cancel, {once: true});
    return promise.finally(() => {
      call.gone.removeEventListener('abort', cancel);
      stop();
    });
  }

  #isBelowRoots(directory: string): boolean {
    if (path.normalize(directory) !== directory) return false;
    return this.#options.imageRoots.some((root) => directory === root || directory.startsWith(`${root}/`));
  }

  async #setLogLevel(call: VarlinkCall): Promise<Parameters> {
    const isLevel = (value: unknown) => Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 7;
    const {level} = checkParameters(call.parameters, {required: {level: isLevel}, optional: {}});
    this.#checkPrivileged(call);
    this.#options.logSettings.level = level as number;
    return {};
  }

  #environment(call: VarlinkCall): Parameters {
    checkParameters(call.parameters, noParameters);
    this.#checkPrivileged(call);
    const entries = Object.entries(this.#options.environment);
    return {environment: entries.map(([name, value]) => `${name}=${value}`)};
  }

  #checkPrivileged({peer}: VarlinkCall): void {
    if (!this.#options.authority.isPrivilegedUid(peer.uid))
      throw new VarlinkError('org.varlink.service.PermissionDenied');
  }

  #information(): Parameters {
    const {version} = this.#options;
    const interfaces = [...interfaceDescriptions.keys()];
    return {vendor: 'imgctl', product: 'imgctl-importd', version, url: '', interfaces};
  }
}

/** What the parts shared with the bus refuse, in Varlink's words. */
function asVarlinkError(error: unknown): VarlinkError {
  if (error instanceof VarlinkError) return error;
  const {errorName} = asBusError(error);
  if (errorName === busErrorNames.accessDenied)
    return new VarlinkError('org.varlink.service.PermissionDenied');
  if (errorName === busErrorNames.interactionRequired)
    return new VarlinkError('io.systemd.InteractiveAuthenticationRequired');
  const errnoName = errorName.split('.').at(-1) ?? '';
  const errno = (constants.errno as Record<string, number>)[errnoName];
  return new VarlinkError('io.systemd.System', {
    origin: 'linux',
    errnoName,
    ...(errno !== undefined && {errno}),
  });
}

function describe(parameters: Parameters): Parameters {
  const {interface: name} = checkParameters(parameters, {required: {interface: isText}, optional: {}});
  const description = interfaceDescriptions.get(String(name));
  if (description === undefined)
    throw new VarlinkError('org.varlink.service.InterfaceNotFound', {interface: name});
  return {description};
}

function transferRow({id, progress, request}: RunningTransfer): Parameters {
  const {type, remote, localName, imageClass} = request;
  return {
    id,
    type: type.replace('-', '_'),
    remote,
    local: localName,
    class: imageClass,
    percent: Math.max(progress, 0),
  };
}
