/**
 * The transfer service on a bus: its objects, and what its transfers say as signals, in order: TransferNew before the
 * answer that names the transfer, everything else before TransferRemoved (spec/import1-dbus.md §8).
 */

import type {StoredImage} from '../../engine/engine.ts';
import type {ImageClass} from '../../import1/image-class.ts';
import type {BusConnection} from '../bus-connection.ts';
import type {Answer, IncomingCall} from '../bus-messages.ts';
import type {Authority} from './authority.ts';
import {asBusError} from './call-errors.ts';
import type {IdleWatch} from './idle-watch.ts';
import {busName, logControlPath, managerPath, transferParentPath} from './interfaces.ts';
import {LogControl, type LogSettings} from './log-control.ts';
import {Manager} from './manager.ts';
import {answerCall, type ObjectTree, type ServedInterface} from './object-server.ts';
import {TransferObject} from './transfer-object.ts';
import type {RunningTransfer, TransferTable} from './transfer-table.ts';

export interface ServiceOptions {
  bus: BusConnection;
  transfers: TransferTable;
  /** Images of one class, or of all that can be read. */
  listImages(imageClass: ImageClass | undefined): Promise<StoredImage[]>;
  logSettings: LogSettings;
  idle: IdleWatch;
  authority: Authority;
  machineId(): string;
}

const managerName = 'org.freedesktop.import1.Manager';
const transferName = 'org.freedesktop.import1.Transfer';
const transferPath = /^\/org\/freedesktop\/import1\/transfer\/_([1-9][0-9]*)$/;
/** Nodes without an object, and what lies below them. */
const nodes: Readonly<Record<string, readonly string[]>> = {
  '/': ['org'],
  '/org': ['freedesktop'],
  '/org/freedesktop': ['LogControl1', 'import1'],
};

export class TransferService implements ObjectTree {
  readonly #options: ServiceOptions;
  readonly #authority: Authority;
  readonly #manager: Manager;
  readonly #logControl: LogControl;

  constructor(options: ServiceOptions) {
    this.#options = options;
    const {transfers, listImages, authority} = options;
    this.#authority = authority;
    this.#manager = new Manager({transfers, listImages, authority: this.#authority});
    this.#logControl = new LogControl(options.logSettings);
  }

  /** Serves, and takes the name; false when somebody else has it. */
  async start(): Promise<boolean> {
    const {bus, transfers} = this.#options;
    bus.handleCalls((call) => this.#answer(call));
    const stopListening = transfers.listen({
      onNew: ({id, path}) => this.#managerSignal('TransferNew', 'uo', [id, path]),
      onLog: (transfer, priority, line) =>
        this.#transferSignal(transfer, 'LogMessage', 'us', [priority, line]),
      onProgress: (transfer, fraction) => this.#transferSignal(transfer, 'ProgressUpdate', 'd', [fraction]),
      onRemoved: ({id, path}, result) => this.#managerSignal('TransferRemoved', 'uos', [id, path, result]),
    });
    void bus.closed.then(stopListening);
    return bus.requestName(busName);
  }

  find(path: string): readonly ServedInterface[] | undefined {
    if (path === managerPath) return [this.#manager];
    if (path === logControlPath) return [this.#logControl];
    if (path === transferParentPath) return [];
    const transfer = this.#options.transfers.find(Number(transferPath.exec(path)?.[1] ?? 0));
    if (!transfer) return undefined;
    return [new TransferObject(transfer, {transfers: this.#options.transfers, authority: this.#authority})];
  }

  children(path: string): readonly string[] | undefined {
    if (path === managerPath) return ['transfer'];
    if (path === transferParentPath) return this.#options.transfers.list().map(({id}) => `_${id}`);
    return nodes[path];
  }

  isPrivileged(sender: string): Promise<boolean> {
    return this.#authority.isPrivileged(sender);
  }

  machineId(): string {
    return this.#options.machineId();
  }

  async #answer(call: IncomingCall): Promise<Answer> {
    const end = this.#options.idle.begin();
    try {
      return await answerCall(this, call);
    } catch (error) {
      throw asBusError(error);
    } finally {
      end();
    }
  }

  #managerSignal(member: string, signature: string, body: unknown[]): void {
    this.#options.bus.emitSignal({path: managerPath, interface: managerName, member, signature, body});
  }

  #transferSignal({path}: RunningTransfer, member: string, signature: string, body: unknown[]): void {
    this.#options.bus.emitSignal({path, interface: transferName, member, signature, body});
  }
}
