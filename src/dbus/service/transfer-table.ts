/**
 * Running transfers of the service: ids from 1, at most 64, each in a process of its own whose lines, progress and end
 * are told to a listener in their order (spec/import1-dbus.md §1, §8). It decides nothing about rights or arguments.
 */

import type {TransferType} from '../../engine/engine.ts';
import type {ImageClass} from '../../import1/image-class.ts';
import {BusError} from '../bus-error.ts';
import {errnoError} from './call-errors.ts';
import {transferParentPath} from './interfaces.ts';

export type VerifyWord = 'no' | 'checksum' | 'signature';

export interface TransferRequest {
  type: TransferType;
  imageClass: ImageClass;
  /** Empty for a pull that takes its name from the URL. */
  localName: string;
  /** The URL of a pull, else empty. */
  remote: string;
  /** Undefined for all but pulls. */
  verify: VerifyWord | undefined;
  force: boolean;
  readOnly: boolean;
  keepDownload: boolean;
  /** Compression of an export as the caller named it; empty: none. */
  format: string;
  /** Input of an import or output of an export; the starter passes it on and leaves it open. */
  descriptor: number | undefined;
  /** Where the image goes, if not to the directory of its class. */
  directory?: string | undefined;
}

export interface ProcessEnd {
  exitCode: number | undefined;
  signal: string | undefined;
}

export interface ProcessListener {
  onLog(level: number, line: string): void;
  onProgress(fraction: number): void;
  onEnd(end: ProcessEnd): void;
}

export interface TransferProcess {
  kill(signal: 'SIGTERM' | 'SIGKILL'): void;
}

/** Starts the process of a transfer before it returns; may throw system errors. */
export type StartTransfer = (request: TransferRequest, listener: ProcessListener) => TransferProcess;

export type TransferResultWord = 'done' | 'canceled' | 'failed';

export interface TransferListener {
  onNew(transfer: RunningTransfer): void;
  /** `priority` counts the facility in, as importd's own lines do. */
  onLog(transfer: RunningTransfer, priority: number, line: string): void;
  onProgress(transfer: RunningTransfer, fraction: number): void;
  onRemoved(transfer: RunningTransfer, result: TransferResultWord): void;
}

const maxTransfers = 64;
/** LINE_MAX less its NUL: what importd's line buffer holds. */
const maxLineBytes = 2047;
/** The facility of daemons, LOG_DAEMON. */
const daemonFacility = 3 << 3;
/** Requests to stop from which on the process is killed. */
const killFrom = 4;

export class RunningTransfer {
  readonly id: number;
  readonly request: TransferRequest;
  /** The lowest number until it is known, as importd has it. */
  progress = -Number.MAX_VALUE;
  cancelCount = 0;
  process: TransferProcess | undefined;
  /** How its process ended, once it has. */
  end: ProcessEnd | undefined;

  constructor(id: number, request: TransferRequest) {
    this.id = id;
    this.request = request;
  }

  get path(): string {
    return `${transferParentPath}/_${this.id}`;
  }
}

export class TransferTable {
  readonly #start: StartTransfer;
  readonly #listeners = new Set<TransferListener>();
  readonly #running = new Map<number, RunningTransfer>();
  #lastId = 0;

  constructor(start: StartTransfer) {
    this.#start = start;
  }

  /** Returns a function that stops it. */
  listen(listener: TransferListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** By id. */
  list(): RunningTransfer[] {
    return [...this.#running.values()];
  }

  find(id: number): RunningTransfer | undefined {
    return this.#running.get(id);
  }

  /** Refuses a second pull of one kind and URL. */
  checkIsNew(type: TransferType, remote: string): void {
    const isRunning = this.list().some(({request}) => request.type === type && request.remote === remote);
    if (!isRunning) return;
    throw new BusError(
      'org.freedesktop.import1.TransferInProgress',
      `Transfer for ${remote} already in progress.`,
    );
  }

  start(request: TransferRequest): RunningTransfer {
    if (this.#running.size >= maxTransfers) throw errnoError('E2BIG');
    const transfer = new RunningTransfer(this.#lastId + 1, request);
    transfer.process = this.#start(request, {
      onLog: (level, line) => this.#log(transfer, level, line),
      onProgress: (fraction) => this.#update(transfer, fraction),
      onEnd: (end) => this.#end(transfer, end),
    });
    this.#lastId = transfer.id;
    this.#running.set(transfer.id, transfer);
    for (const listener of this.#listeners) listener.onNew(transfer);
    return transfer;
  }

  cancel(transfer: RunningTransfer): void {
    transfer.cancelCount += 1;
    transfer.process?.kill(transfer.cancelCount < killFrom ? 'SIGTERM' : 'SIGKILL');
  }

  cancelAll(): void {
    for (const transfer of this.list()) this.cancel(transfer);
  }

  #log(transfer: RunningTransfer, level: number, text: string): void {
    for (const line of linesOf(text)) {
      for (const listener of this.#listeners) listener.onLog(transfer, daemonFacility + level, line);
    }
  }

  #update(transfer: RunningTransfer, fraction: number): void {
    const progress = Math.floor(fraction * 100 + 1e-9) / 100;
    if (progress === transfer.progress) return;
    transfer.progress = progress;
    for (const listener of this.#listeners) listener.onProgress(transfer, progress);
  }

  #end(transfer: RunningTransfer, end: ProcessEnd): void {
    transfer.end = end;
    this.#running.delete(transfer.id);
    const result = end.exitCode === 0 ? 'done' : transfer.cancelCount > 0 ? 'canceled' : 'failed';
    for (const listener of this.#listeners) listener.onRemoved(transfer, result);
  }
}

/** Lines that are not empty, long ones in pieces; no character is cut in two. */
function linesOf(text: string): string[] {
  return text.split(/[\n\0]/).flatMap((line) => (line === '' ? [] : pieces(line)));
}

function pieces(line: string): string[] {
  if (Buffer.byteLength(line) <= maxLineBytes) return [line];
  const found: string[] = [];
  let piece = '';
  let bytes = 0;
  for (const character of line) {
    const length = Buffer.byteLength(character);
    if (bytes + length > maxLineBytes) {
      found.push(piece);
      piece = '';
      bytes = 0;
    }
    piece += character;
    bytes += length;
  }
  return [...found, piece];
}
