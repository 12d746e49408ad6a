import type {Transfer, TransferResult} from '../engine.ts';
import type {TransferDescription, TransferRecord} from './transfer-registry.ts';

const backlogLines = 100;

/** The `Transfer` its user sees. Lines that came before a listener are told to it at once. */
export class EmbeddedTransfer implements Transfer {
  readonly id: number;
  readonly type: Transfer['type'];
  readonly imageClass: Transfer['imageClass'];
  readonly localName: string;
  readonly remote: string;
  readonly finished: Promise<TransferResult>;
  readonly #record: TransferRecord;
  readonly #controller: AbortController;
  readonly #progressListeners = new Set<(fraction: number | undefined) => void>();
  readonly #logListeners = new Set<(level: number, line: string) => void>();
  readonly #backlog: [level: number, line: string][] = [];

  constructor(
    description: TransferDescription,
    record: TransferRecord,
    run: {controller: AbortController; finished: Promise<TransferResult>},
  ) {
    this.id = record.id;
    this.type = description.type;
    this.imageClass = description.imageClass;
    this.localName = description.localName;
    this.remote = description.remote;
    this.#record = record;
    this.#controller = run.controller;
    this.finished = run.finished;
    // Whoever does not wait for it must not be ended by its failure.
    run.finished.catch(() => undefined);
  }

  onProgress(listener: (fraction: number | undefined) => void): () => void {
    this.#progressListeners.add(listener);
    return () => this.#progressListeners.delete(listener);
  }

  onLog(listener: (level: number, line: string) => void): () => void {
    for (const [level, line] of this.#backlog) listener(level, line);
    this.#logListeners.add(listener);
    return () => this.#logListeners.delete(listener);
  }

  cancel(): void {
    this.#controller.abort();
  }

  reportProgress(fraction: number): void {
    this.#record.update(fraction);
    for (const listener of this.#progressListeners) listener(fraction);
  }

  reportLog(level: number, line: string): void {
    this.#backlog.push([level, line]);
    if (this.#backlog.length > backlogLines) this.#backlog.shift();
    for (const listener of this.#logListeners) listener(level, line);
  }
}
