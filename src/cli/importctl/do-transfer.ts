/**
 * Does one transfer of the importctl family and tells of it as it goes. It runs in the process of its client, or in one
 * of its own (transfer-worker.ts) where the client may leave before the end.
 */

import {closeSync, openSync, readlinkSync} from 'node:fs';
import path from 'node:path';
import {importdRefusal, importdWords} from '../../actions/importd-words.ts';
import {runTransfer} from '../../actions/run-transfer.ts';
import {settleBusOrder, type TransferOrder} from '../../actions/transfer-order.ts';
import {ImgctlError} from '../../errors.ts';
import {maskUrl} from '../../http/mask-url.ts';
import {formatSize} from '../../manifest/size-text.ts';
import {writeOutputFile} from '../../sys/output-file.ts';
import type {CommandContext} from '../context.ts';
import {guardSecrets} from '../network.ts';
import type {TransferMessage, TransferTask} from './transfer-messages.ts';

const progressSteps = 500;

export interface TransferSurroundings {
  context: CommandContext;
  signal: AbortSignal;
  /** The input of an import from `-` or the output of an export to it, open. */
  descriptor: number;
  send(message: TransferMessage): void;
}

/** Resolves with the exit status once the transfer has ended and all has been told. */
export async function doTransfer(task: TransferTask, surroundings: TransferSurroundings): Promise<number> {
  return await new Telling(task, surroundings).run();
}

class Telling {
  readonly #task: TransferTask;
  readonly #surroundings: TransferSurroundings;
  readonly #send: TransferSurroundings['send'];
  /** What has been told of the transfer so far. */
  readonly #told = {isStarted: false, hasError: false};

  constructor(task: TransferTask, surroundings: TransferSurroundings) {
    this.#task = task;
    this.#surroundings = surroundings;
    this.#send = (message) => surroundings.send(message);
  }

  async run(): Promise<number> {
    let {order} = this.#task;
    try {
      if (this.#task.isFromBus) order = settleBusOrder(order);
      await this.#transfer(order);
      this.#send({type: 'log', level: 6, line: 'Exiting.'});
      this.#send({type: 'end', status: 0});
      return 0;
    } catch (error) {
      for (const line of this.#failureLines(error, order))
        this.#send({type: 'log', level: levelOf(error), line});
      this.#sayExiting(order, error);
      this.#send({type: 'end', status: 1});
      return 1;
    }
  }

  async #transfer(order: TransferOrder): Promise<void> {
    const {cwd, outputIsSpecial} = this.#task;
    const {descriptor} = this.#surroundings;
    if (!order.verb.startsWith('export-')) return this.#run(order, -1);
    if (order.remote === '-') return this.#run(order, descriptor);
    const file = path.resolve(cwd, order.remote);
    if (outputIsSpecial) {
      const fd = openSync(file, 'w');
      return this.#run(order, fd).finally(() => closeSync(fd));
    }
    await writeOutputFile(file, (fd) => this.#run(order, fd));
  }

  async #run(order: TransferOrder, outputFd: number): Promise<void> {
    const {program, cwd, directory} = this.#task;
    const {context, signal, descriptor} = this.#surroundings;
    const {imageClass, remote} = order;
    await guardSecrets(remote);
    const isOurs = program !== 'importctl' && !this.#task.isFromBus;
    const {output} = await runTransfer(
      {
        engine: await context.engine(),
        store: {imageClass, directory: directory ?? context.imageDirectory(imageClass)},
        signal,
        input:
          remote === '-'
            ? {fd: descriptor, name: readlinkSync(`/proc/self/fd/${descriptor}`)}
            : {path: path.resolve(cwd, remote)},
        outputFd,
        outputName: remote === '-' ? undefined : path.resolve(cwd, remote),
        digestOutput: isOurs && remote === '-',
        shownRemote: maskUrl(remote),
        refusesSecondPull: program === 'importctl',
        onStart: (started) => {
          this.#told.isStarted = true;
          this.#send({type: 'started', id: started.id});
          started.onLog((level, line) => this.#tell(level, line));
          started.onProgress(this.#progressOf(order));
        },
      },
      order,
    );
    if (output) this.#tell(6, `Wrote ${formatSize(output.sizeBytes)}, sha256 ${output.sha256}`);
  }

  #tell(level: number, line: string): void {
    if (level <= 3) this.#told.hasError = true;
    this.#send({type: 'log', level, line});
  }

  /** The bus and the old name get what importd and importctl say; imgctl also why. */
  #failureLines(error: unknown, order: TransferOrder): string[] {
    const {program, isFromBus} = this.#task;
    const own = error instanceof Error ? error.message : String(error);
    if (program !== 'importctl' && !isFromBus) return [own];
    if (!this.#told.isStarted && !isFromBus) return [importdRefusal(error, order)];
    return this.#told.hasError ? [] : importdWords(error, order);
  }

  /** As the programs below importd end, which are not the ones that fail an export or refuse a name. */
  #sayExiting(order: TransferOrder, error: unknown): void {
    const isSilent = !this.#told.isStarted || isRefusal(error) || order.verb.startsWith('export-');
    if (!isSilent) this.#send({type: 'log', level: 6, line: 'Exiting.'});
  }

  /** Tells fractions; to the bus as importd does, which speaks of whole percents and never of the last one. */
  #progressOf({verb}: TransferOrder): (fraction: number | undefined) => void {
    const sendFraction = (fraction: number | undefined) =>
      this.#send({type: 'progress', fraction: fraction ?? null});
    if (!this.#task.isFromBus) return inSteps(sendFraction);
    const minMs = verb === 'pull-raw' ? 1000 : 100; // spec/import1-dbus.md §8
    let last = {percent: -1, atMs: Number.NEGATIVE_INFINITY};
    return (fraction = 0) => {
      const percent = Math.floor(fraction * 100 + 1e-9);
      const atMs = performance.now();
      if (percent === last.percent || percent >= 100 || atMs - last.atMs < minMs) return;
      last = {percent, atMs};
      sendFraction(percent / 100);
    };
  }
}

/** More than a bar can show would only keep two processes busy. */
function inSteps(tellOf: (fraction: number | undefined) => void): (fraction: number | undefined) => void {
  let last: number | undefined;
  return (fraction) => {
    const step = fraction === undefined ? undefined : Math.floor(fraction * progressSteps);
    if (step !== undefined && step === last) return;
    last = step;
    tellOf(fraction);
  };
}

/** Found out before anything was begun. */
function isRefusal(error: unknown): boolean {
  const codes: readonly unknown[] = ['ImageAlreadyExists', 'ImageNotInstalled', 'Usage'];
  return error instanceof ImgctlError && codes.includes(error.code);
}

function levelOf(error: unknown): number {
  return error instanceof ImgctlError && error.code === 'Interrupted' ? 5 : 3;
}
