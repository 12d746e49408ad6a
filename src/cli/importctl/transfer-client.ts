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
  if (signal.aborted) throw new ImgctlError('Interrupted', 'Transfer aborted');
  return telling.outcome;
}

function runWorker(context: CommandContext, task: TransferTask, telling: Telling): Promise<TransferOutcome> {
  const passed = passedDescriptor(task.order);
  const worker = spawn(
    process.execPath,
    [path.join(packageRoot(), 'dist/transfer-worker.js'), JSON.stringify(task)],
    {
      detached: true,
      cwd: task.cwd,
      env: {...context.environment.env},
      stdio: ['ignore', 'pipe', 'ignore', ...(passed === undefined ? [] : [passed])],
    },
  );
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
      if (context.signal.aborted) reject(new ImgctlError('Interrupted', 'Transfer aborted'));
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

function relay(
  context: CommandContext,
  order: TransferOrder,
  {worker, options}: {worker: ChildProcess; options: TransferClientOptions},
): Promise<TransferOutcome> {
  const outcome: TransferOutcome = {
    action: order.verb,
    id: null,
    localName: order.localName ?? null,
    status: 'failed',
  };
  const say = (level: number, line: string): void => {
    if (level < informational || !options.quiet) context.output.line(line, level);
  };
  return new Promise((resolve, reject) => {
    const onSignal = (): void => interrupted(context, {worker, outcome, resolve, say});
    context.signal.addEventListener('abort', onSignal, {once: true});
    const lines = createInterface({input: worker.stdout as NonNullable<typeof worker.stdout>});
    lines.on('line', (line) => {
      const message: TransferMessage = JSON.parse(line);
      if (message.type === 'started') {
        outcome.id = message.id;
        const means = context.program === 'importctl' ? 'continue download in background' : 'abort transfer';
        say(informational, `Enqueued transfer job ${message.id}. Press C-c to ${means}.`);
      } else if (message.type === 'log') {
        say(message.level, message.line);
      } else if (message.type === 'end' && message.status === 0) {
        outcome.status = 'done';
      } else if (message.type === 'progress' && !options.quiet) {
        showProgress(context, order, message.fraction, outcome.id);
      }
    });
    worker.on('error', reject);
    worker.on('close', () => {
      context.signal.removeEventListener('abort', onSignal);
      context.progress.end(order.verb, outcome.status === 'done');
      if (context.signal.aborted)
        reject(new ImgctlError('Interrupted', 'Transfer aborted', {details: {left: leftOf(order)}}));
      else resolve(outcome);
    });
  });
}

/** What a transfer that was stopped leaves. */
function leftOf({verb, remote}: TransferOrder): string {
  if (verb.startsWith('pull-')) return 'nothing was installed; what was downloaded is kept';
  if (!verb.startsWith('export-')) return 'nothing was installed';
  return remote === '-' ? 'what was written is not complete' : 'no file was written';
}

/** The engine's own lines tell of it in logs; importctl draws on terminals only. */
function showProgress(
  context: CommandContext,
  order: TransferOrder,
  fraction: number | null,
  id: number | null,
): void {
  const {program, progress, environment} = context;
  if (progress.isPlain || (program === 'importctl' && !environment.stderr.isTTY)) return;
  progress.update({
    uuid: order.verb,
    title: order.localName ?? order.remote,
    phase: order.verb.startsWith('pull-') ? 'download' : order.verb.startsWith('export-') ? 'pack' : 'unpack',
    doneBytes: Math.round((fraction ?? 0) * 1000),
    totalBytes: fraction === null ? undefined : 1000,
    isShare: true,
    ...(id !== null && {id}),
  });
}

/** imgctl cancels and waits for the end; importctl says how to cancel and leaves (design.md §7). */
function interrupted(
  context: CommandContext,
  state: {
    worker: ChildProcess;
    outcome: TransferOutcome;
    resolve: (outcome: TransferOutcome) => void;
    say: (level: number, line: string) => void;
  },
): void {
  const {worker, outcome, resolve, say} = state;
  if (context.program !== 'importctl') {
    worker.kill('SIGTERM');
    return;
  }
}
