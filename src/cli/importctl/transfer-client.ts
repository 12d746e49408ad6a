/**
 * The client of a transfer: tells of it as importctl does, and on Ctrl-C cancels it (imgctl) or leaves it running
 * (importctl) (spec/importctl.md §5; design.md §6). What may go on alone has a process and a session of its own; what
 * ends with the client is done in it, because a process more is a third of what a small image costs.
 */

import {spawn} from 'node:child_process';
import {closeSync, constants, fstatSync, openSync, statSync} from 'node:fs';
import path from 'node:path';
import {createInterface} from 'node:readline';
import type {TransferOrder} from '../../actions/transfer-order.ts';
import {errnoOf, ImgctlError} from '../../errors.ts';
import type {CommandContext} from '../context.ts';
import {unverifiedPull} from '../insecure-choices.ts';
import {packageRoot} from '../package-root.ts';
import type {TransferMessage, TransferTask} from './transfer-messages.ts';

/** Lines of this syslog level and above it in number are information. */
const informational = 6;

export interface TransferOutcome {
  action: string;
  id: number | null;
  localName: string | null;
  status: 'done' | 'failed' | 'background';
}

export interface TransferClientOptions {
  quiet: boolean;
  flags: TransferTask['flags'];
}

/** Resolves when the transfer has ended, or goes on without this process. */
export async function runTransferClient(
  context: CommandContext,
  order: TransferOrder,
  options: TransferClientOptions,
): Promise<TransferOutcome> {
  const {cwd} = context.environment;
  checkFiles(order, cwd, context);
  // importctl says nothing of it.
  const isUnverified = order.verify === 'no' && (order.verb === 'pull-tar' || order.verb === 'pull-raw');
  if (isUnverified && context.program === 'imgctl') context.output.warn(unverifiedPull(order.remote));
  const task: TransferTask = {
    order,
    program: context.program,
    cwd,
    flags: options.flags,
    outputIsSpecial: isSpecial(order, cwd),
  };
  const telling = new Telling(context, order, options.quiet);
  return context.program === 'importctl'
    ? runWorker(context, task, telling)
    : runHere(context, task, telling);
}

async function runHere(
  context: CommandContext,
  task: TransferTask,
  telling: Telling,
): Promise<TransferOutcome> {
  const {signal} = context;
  const {doTransfer} = await import('./do-transfer.ts');
  const descriptor = task.order.verb.startsWith('export-') ? 1 : 0;
  await doTransfer(task, {context, signal, descriptor, send: (message) => telling.take(message)});
  telling.end();
  if (signal.aborted) throw aborted(task.order);
  return telling.outcome;
}

function runWorker(context: CommandContext, task: TransferTask, telling: Telling): Promise<TransferOutcome> {
  const passed = passedDescriptor(task.order);
  const worker = spawn(
    process.execPath,
    // The flag is what `collectOften` of src/start.cjs does.
    ['--max-semi-space-size=1', path.join(packageRoot(), 'dist/transfer-worker.js'), task.order.verb],
    {
      detached: true,
      cwd: task.cwd,
      env: {...context.environment.env},
      stdio: ['pipe', 'pipe', 'ignore', ...(passed === undefined ? [] : [passed])],
    },
  );
  worker.stdin?.on('error', () => undefined); // it has gone, which `close` tells
  worker.stdin?.end(`${JSON.stringify(task)}\n`);
  return new Promise((resolve, reject) => {
    const onSignal = (): void => {
      telling.leave();
      worker.stdout?.destroy();
      worker.unref();
      resolve(telling.outcome);
    };
    context.signal.addEventListener('abort', onSignal, {once: true});
    const lines = createInterface({input: worker.stdout as NonNullable<typeof worker.stdout>});
    lines.on('line', (line) => telling.take(JSON.parse(line)));
    worker.on('error', reject);
    worker.on('close', () => {
      context.signal.removeEventListener('abort', onSignal);
      telling.end();
      if (context.signal.aborted) reject(aborted(task.order));
      else resolve(telling.outcome);
    });
  });
}

/** What importctl finds out before it asks for a transfer, in its words. */
function checkFiles(order: TransferOrder, cwd: string, context: CommandContext): void {
  const {verb, remote} = order;
  if (verb === 'export-tar' || verb === 'export-raw') {
    if (remote === '-' && context.environment.stdout.isTTY)
      throw new ImgctlError('Usage', 'Refusing to write archive to TTY.');
    return;
  }
  if (verb === 'pull-tar' || verb === 'pull-raw' || remote === '-') return;
  const isTree = verb === 'import-fs';
  try {
    const fd = openSync(path.resolve(cwd, remote), constants.O_RDONLY | constants.O_NONBLOCK);
    const isDirectory = fstatSync(fd).isDirectory();
    closeSync(fd);
    if (isTree && !isDirectory)
      throw new ImgctlError('FileSystem', `Failed to open directory '${remote}': Not a directory`);
    if (!isTree && isDirectory)
      throw new ImgctlError('FileSystem', 'Failed to transfer image: Invalid argument');
  } catch (error) {
    if (error instanceof ImgctlError) throw error;
    const reason = errnoOf(error) === 'ENOENT' ? 'No such file or directory' : (error as Error).message;
    const what = isTree ? `directory '${remote}'` : remote;
    throw new ImgctlError('FileSystem', `Failed to open ${what}: ${reason}`);
  }
}

function isSpecial(order: TransferOrder, cwd: string): boolean {
  if (!order.verb.startsWith('export-') || order.remote === '-') return false;
  const found = statSync(path.resolve(cwd, order.remote), {throwIfNoEntry: false});
  return found !== undefined && !found.isFile();
}

function passedDescriptor(order: TransferOrder): number | undefined {
  if (order.remote !== '-') return undefined;
  return order.verb.startsWith('export-') ? 1 : 0;
}

function aborted(order: TransferOrder): ImgctlError {
  return new ImgctlError('Interrupted', 'Transfer aborted', {details: {left: leftOf(order)}});
}

/** What a transfer that was stopped leaves. */
function leftOf({verb, remote}: TransferOrder): string {
  if (verb.startsWith('pull-')) return 'nothing was installed; what was downloaded is kept';
  if (!verb.startsWith('export-')) return 'nothing was installed';
  return remote === '-' ? 'what was written is not complete' : 'no file was written';
}

/** What the user is told of a transfer, and what became of it. */
class Telling {
  readonly outcome: TransferOutcome;
  readonly #context: CommandContext;
  readonly #order: TransferOrder;
  readonly #isQuiet: boolean;

  constructor(context: CommandContext, order: TransferOrder, isQuiet: boolean) {
    this.#context = context;
    this.#order = order;
    this.#isQuiet = isQuiet;
    this.outcome = {action: order.verb, id: null, localName: order.localName ?? null, status: 'failed'};
  }

  take(message: TransferMessage): void {
    if (message.type === 'started') {
      this.outcome.id = message.id;
      const means =
        this.#context.program === 'importctl' ? 'continue download in background' : 'abort transfer';
      this.#say(informational, `Enqueued transfer job ${message.id}. Press C-c to ${means}.`);
    } else if (message.type === 'log') {
      this.#say(message.level, message.line);
    } else if (message.type === 'end' && message.status === 0) {
      this.outcome.status = 'done';
    } else if (message.type === 'progress' && !this.#isQuiet) {
      this.#showProgress(message.fraction);
    }
  }

  /** Nothing more comes. */
  end(): void {
    this.#context.progress.end(this.#order.verb, this.outcome.status === 'done');
  }

  /** The transfer goes on alone; importctl says how to cancel it (design.md §7). */
  leave(): void {
    const cancel = `${this.#context.program} cancel-transfer ${this.outcome.id}`;
    this.#say(5, `Continuing download in the background. Use "${cancel}" to abort transfer.`);
    this.outcome.status = 'background';
  }

  #say(level: number, line: string): void {
    if (level < informational || !this.#isQuiet) this.#context.output.line(line, level);
  }

  /** The engine's own lines tell of it in logs; importctl draws on terminals only. */
  #showProgress(fraction: number | null): void {
    const {environment, progress, program} = this.#context;
    if (progress.isPlain || (program === 'importctl' && !environment.stderr.isTTY)) return;
    const {verb, localName, remote} = this.#order;
    const {id} = this.outcome;
    progress.update({
      uuid: verb,
      title: localName ?? remote,
      phase: verb.startsWith('pull-') ? 'download' : verb.startsWith('export-') ? 'pack' : 'unpack',
      doneBytes: Math.round((fraction ?? 0) * 1000),
      totalBytes: fraction === null ? undefined : 1000,
      isShare: true,
      ...(id !== null && {id}),
    });
  }
}
