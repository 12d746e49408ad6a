import type {Transfer, TransferResult} from '../../engine/engine.ts';
import {ImgctlError} from '../../errors.ts';
import type {TransferOutcome} from '../import1.ts';
import {type LogLine, transferFailure} from './transfer-failure.ts';

const backlogLines = 100;

export interface TransferTerms {
  description: Pick<Transfer, 'type' | 'imageClass' | 'localName' | 'remote'>;
  /** For instance `importing "FILE" as "NAME"`. */
  attempted: string;
  /** What it leaves when it is done. */
  result: TransferResult;
  signal: AbortSignal | undefined;
}

/** A transfer of a service, as its signals tell it. Lines from before a listener came are told to it at once. */
export class BusTransfer implements Transfer {
  readonly id: number;
  readonly type: Transfer['type'];
  readonly imageClass: Transfer['imageClass'];
  readonly localName: string;
  readonly remote: string;
  readonly finished: Promise<TransferResult>;
  readonly #terms: TransferTerms;
  readonly #requestCancel: () => Promise<void>;
  readonly #settle: PromiseWithResolvers<TransferResult>;
  readonly #lines: LogLine[] = [];
  readonly #progressListeners = new Set<(fraction: number | undefined) => void>();
  readonly #logListeners = new Set<(level: number, line: string) => void>();

  constructor(id: number, terms: TransferTerms, requestCancel: () => Promise<void>) {
    const {type, imageClass, localName, remote} = terms.description;
    this.id = id;
    this.type = type;
    this.imageClass = imageClass;
    this.localName = localName;
    this.remote = remote;
    this.#terms = terms;
    this.#requestCancel = requestCancel;
    this.#settle = Promise.withResolvers();
    const {signal} = terms;
    const abort = () => this.cancel();
    signal?.addEventListener('abort', abort, {once: true});
    this.finished = this.#settle.promise.finally(() => signal?.removeEventListener('abort', abort));
    // Whoever does not wait for it must not be ended by its failure.
    this.finished.catch(() => undefined);
  }

  onProgress(listener: (fraction: number | undefined) => void): () => void {
    this.#progressListeners.add(listener);
    return () => this.#progressListeners.delete(listener);
  }

  onLog(listener: (level: number, line: string) => void): () => void {
    for (const [level, line] of this.#lines) listener(level, line);
    this.#logListeners.add(listener);
    return () => this.#logListeners.delete(listener);
  }

  /** A refused cancellation ends the waiting, not the transfer; the error says so. */
  cancel(): void {
    this.#requestCancel().catch((error: ImgctlError) => this.fail(error));
  }

  /** The service's value; negative while unknown. */
  reportProgress(value: number): void {
    const fraction = value >= 0 ? Math.min(value, 1) : undefined;
    for (const listener of this.#progressListeners) listener(fraction);
  }

  /** Importd's workers take their leave in the log; that is not about the transfer. */
  reportLog(level: number, line: string): void {
    if (line === 'Exiting.') return;
    this.#lines.push([level, line]);
    if (this.#lines.length > backlogLines) this.#lines.shift();
    for (const listener of this.#logListeners) listener(level, line);
  }

  end(outcome: TransferOutcome): void {
    const {attempted, result} = this.#terms;
    if (outcome === 'done') {
      this.reportProgress(1);
      this.#settle.resolve(result);
    } else if (outcome === 'canceled') {
      this.fail(new ImgctlError('Interrupted', `${attempted} was interrupted`));
    } else {
      this.fail(transferFailure(attempted, this.#lines));
    }
  }

  /** Without effect once it has ended. */
  fail(error: ImgctlError): void {
    this.#settle.reject(error);
  }
}
