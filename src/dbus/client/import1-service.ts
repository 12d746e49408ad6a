/**
 * Whoever owns org.freedesktop.import1 on a bus, and the transfers it does for us. Signals of other senders are not
 * heard: anybody on the bus may send them. When the owner goes away its transfers have failed, whatever was said before.
 */
import {ImgctlError} from '../../errors.ts';
import type {BusConnection} from '../bus-connection.ts';
import {BusError, busErrorNames} from '../bus-error.ts';
import type {BusSignal} from '../bus-messages.ts';
import {import1, type TransferOutcome} from '../import1.ts';
import {BusTransfer, type TransferTerms} from './bus-transfer.ts';
import {asCallError} from './call-errors.ts';

export interface ServiceCall {
  member: string;
  signature?: string;
  body?: readonly unknown[];
  fds?: readonly number[];
  path?: string;
  interface?: string;
  /** See `AttemptedCall`. */
  attempted: string;
  action?: 'import' | 'export' | 'pull' | 'cancel';
}

/** What tells services apart. */
export interface ServiceTraits {
  /** importd 256: classes, flags, lists of images, progress. */
  hasEx: boolean;
  /** importd 258, and it sees where a file is cut off. Nothing tells 258 and 259 from 257, so they count as 257. */
  decodesZstd: boolean;
  /** Not importd: spec/engine.md §5. */
  readsAnyQcow2: boolean;
}

const importdIdentifier = 'systemd-importd';
/** Signals of a transfer whose id is not known yet; more are another's. */
const maxEarlySignals = 1000;
/** Services before 256 do not tell their progress. */
const pollIntervalMs = 500;
/** Asking the user for a password takes its time. */
const callTimeoutMs = 120_000;

export class Import1Service {
  readonly #bus: BusConnection;
  readonly #interactive: boolean;
  readonly #transfers = new Map<string, BusTransfer>();
  readonly #early: BusSignal[] = [];
  #starting = 0;
  #owner = '';
  #traits: Promise<ServiceTraits> | undefined;

  private constructor(bus: BusConnection, interactive: boolean) {
    this.#bus = bus;
    this.#interactive = interactive;
  }

  static async open(bus: BusConnection, options: {interactive: boolean}): Promise<Import1Service> {
    const service = new Import1Service(bus, options.interactive);
    const owners = `type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='${import1.service}'`;
    const own = `type='signal',sender='${import1.service}',path_namespace='${import1.managerPath}'`;
    await bus.subscribe(owners, (signal) => service.#onOwnerSignal(signal));
    await bus.subscribe(own, (signal) => service.#onSignal(signal));
    await service.#findOwner();
    void bus.closed.then((reason) => reason && service.#lose(reason));
    return service;
  }

  async #findOwner(): Promise<void> {
    const driver = 'org.freedesktop.DBus';
    try {
      const [owner] = await this.#bus.call({
        ...{destination: driver, path: '/org/freedesktop/DBus', interface: driver, member: 'GetNameOwner'},
        ...{signature: 's', body: [import1.service]},
      });
      this.#owner = String(owner);
    } catch (error) {
      // Nobody yet: the first call starts the service.
      if (!(error instanceof BusError) || error.errorName !== busErrorNames.nameHasNoOwner) throw error;
    }
  }

  /** Asked once for every owner of the name. */
  traits(): Promise<ServiceTraits> {
    this.#traits ??= this.#findTraits().catch((error: unknown) => {
      this.#traits = undefined;
      throw error;
    });
    return this.#traits;
  }

  async #findTraits(): Promise<ServiceTraits> {
    const attempted = 'Asking the service what it can do';
    const introspectable = 'org.freedesktop.DBus.Introspectable';
    const [xml] = await this.call({member: 'Introspect', interface: introspectable, attempted});
    const logControl = {path: '/org/freedesktop/LogControl1', interface: 'org.freedesktop.DBus.Properties'};
    const body = ['org.freedesktop.LogControl1', 'SyslogIdentifier'];
    const [identifier] = await this.call({
      ...{...logControl, member: 'Get', signature: 'ss', body, attempted},
    }).catch(() => [importdIdentifier]);
    const isImportd = identifier === importdIdentifier;
    const has = (method: string) => String(xml).includes(`<method name="${method}"`);
    return {hasEx: has('ImportTarEx'), decodesZstd: !isImportd || has('PullOci'), readsAnyQcow2: !isImportd};
  }

  /** Rejects with an ImgctlError. */
  async call(call: ServiceCall): Promise<readonly unknown[]> {
    const {attempted, action, ...message} = call;
    try {
      return await this.#bus.call({
        path: import1.managerPath,
        interface: import1.manager,
        ...message,
        destination: import1.service,
        interactive: this.#interactive,
        timeoutMs: callTimeoutMs,
      });
    } catch (error) {
      const polkitAction = action && `${import1.service}.${action}`;
      throw asCallError(error, {attempted, service: import1.service, action: polkitAction});
    }
  }

  /** Makes a call that starts a transfer, and follows it. */
  async start(call: ServiceCall, terms: TransferTerms): Promise<BusTransfer> {
    this.#starting += 1;
    try {
      const [id, path] = await this.call(call);
      return this.#follow(Number(id), String(path), terms);
    } finally {
      this.#starting -= 1;
      if (this.#starting === 0) this.#early.length = 0;
    }
  }

  #follow(id: number, path: string, terms: TransferTerms): BusTransfer {
    const transfer = new BusTransfer(id, terms, () => this.#cancel(path, terms.attempted));
    this.#transfers.set(path, transfer);
    for (const signal of this.#early) this.#tell(signal);
    // Aborted while the call was under way.
    if (terms.signal?.aborted) transfer.cancel();
    void this.#pollIfOld(path, transfer);
    return transfer;
  }

  async #cancel(path: string, attempted: string): Promise<void> {
    if (!this.#transfers.has(path)) return;
    try {
      await this.call({
        ...{path, interface: import1.transfer, member: 'Cancel'},
        attempted: `cancelling ${attempted}`,
        action: 'pull',
      });
    } catch (error) {
      // It has ended in the meantime, and its signal tells how.
      if (!this.#transfers.has(path)) return;
      throw error instanceof ImgctlError ? withUnknownOutcome(error) : error;
    }
  }

  #onOwnerSignal(signal: BusSignal): void {
    const [name, , owner] = signal.body;
    const isOfBus = signal.sender === 'org.freedesktop.DBus' && signal.member === 'NameOwnerChanged';
    if (!isOfBus || name !== import1.service) return;
    this.#owner = String(owner);
    this.#traits = undefined;
    this.#early.length = 0;
    const text = `"${import1.service}" went away in the middle of a transfer`;
    const hint = 'see its log with: journalctl -u systemd-importd; then run the command again';
    this.#lose(new ImgctlError('BusUnavailable', text, {retryable: true, hint}));
  }

  #lose(reason: ImgctlError): void {
    const lost = [...this.#transfers.values()];
    this.#transfers.clear();
    for (const transfer of lost) transfer.fail(withUnknownOutcome(reason));
  }

  #onSignal(signal: BusSignal): void {
    if (signal.sender !== this.#owner || !signal.interface.startsWith(import1.service)) return;
    if (this.#starting > 0 && this.#early.length < maxEarlySignals) this.#early.push(signal);
    this.#tell(signal);
  }

  #tell({path, member, body}: BusSignal): void {
    const [first, second, third] = body;
    const transfer = this.#transfers.get(member === 'TransferRemoved' ? String(second) : path);
    // Priorities come with their facility.
    if (member === 'LogMessage') transfer?.reportLog(Number(first) & 7, String(second));
    if (member === 'ProgressUpdate') transfer?.reportProgress(Number(first));
    if (member !== 'TransferRemoved' || !transfer) return;
    this.#transfers.delete(String(second));
    transfer.end(third as TransferOutcome);
  }

  async #pollIfOld(path: string, transfer: BusTransfer): Promise<void> {
    const traits = await this.traits().catch(() => undefined);
    if (!traits || traits.hasEx || !this.#transfers.has(path)) return;
    const timer = setInterval(() => {
      void this.call({
        ...{path, interface: 'org.freedesktop.DBus.Properties', member: 'Get', signature: 'ss'},
        body: [import1.transfer, 'Progress'],
        attempted: 'asking for the progress',
      }).then(
        ([value]) => transfer.reportProgress(Number(value)),
        () => undefined, // it has ended
      );
    }, pollIntervalMs);
    await transfer.finished.catch(() => undefined);
    clearInterval(timer);
  }
}

/** Nobody tells any more what becomes of the transfer: its worker may still come to an end. */
function withUnknownOutcome(reason: ImgctlError): ImgctlError {
  const {code, message, hint, retryable, details} = reason;
  return new ImgctlError(code, message, {
    ...(hint !== undefined && {hint}),
    retryable,
    cause: reason.cause,
    details: {...details, outcome: 'unknown'},
  });
}
