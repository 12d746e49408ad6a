/** Runs one of the children that work with few rights and turns its answers into a promise and calls. */
import {existsSync} from 'node:fs';
import path from 'node:path';
import type {Readable} from 'node:stream';
import {ImgctlError} from '../../errors.ts';
import type {ProcessEnd, RunningProcess, RunOptions} from '../../sys/run.ts';
import {type ChildMessage, parseChildMessage} from './child-protocol.ts';
import type {Sandbox, WrapRequest} from './sandbox.ts';

/** Keeps the heap small; image data lives in buffers outside it. With 1 MiB of young objects a tree took 0.12 s more of processor. */
export const childOptions = [
  '--max-old-space-size=128',
  '--max-semi-space-size=4',
  '--disable-warning=DEP0005',
];
const maxLineLength = 256 * 1024;

export interface ChildOptions {
  /** The program: `dist/NAME.cjs`. */
  name: 'unpack-child' | 'export-child' | 'convert-child' | 'stream-child';
  /** Its one argument, as JSON. */
  task: object;
  sandbox: Sandbox;
  wrap: WrapRequest;
  descriptors: Pick<RunOptions, 'stdin' | 'descriptors'>;
  env?: Record<string, string>;
  signal: AbortSignal;
  onMessage: (message: ChildMessage) => void;
  /** Gets the child's pipes before anything comes from it. */
  onStart?: (child: RunningProcess) => void;
}

/** Resolves with the child's notices once it is done and gone; rejects with what it reported. */
export async function runChild(options: ChildOptions): Promise<string[]> {
  const {name, task, sandbox, wrap, descriptors, env = {}, signal, onStart} = options;
  const command = [process.execPath, ...childOptions, findStarter(), name, JSON.stringify(task)];
  const runOptions: RunOptions = {
    stdout: 'pipe',
    env,
    signal,
    graceMs: 0, // it has nothing to finish, and some wrappers ignore SIGTERM
    ...descriptors,
  };
  // One whose pipes somebody holds cannot be started a second time.
  if (!onStart) {
    const first = await listen(await sandbox.startAtOnce(command, wrap, runOptions), options);
    if (first.hasSpoken) sandbox.confirm();
    if (first.hasSpoken || signal.aborted || (await sandbox.isBestWorking(wrap.target)))
      return noticesOf(first, name);
  }
  const child = await sandbox.start(command, wrap, runOptions);
  onStart?.(child);
  return noticesOf(await listen(child, options), name);
}

interface Life {
  hasSpoken: boolean;
  /** How it says that it ended; a decoder that was left behind may still tell how far it is after that. */
  verdict: (ChildMessage & {type: 'done' | 'error'}) | undefined;
  end: PromiseSettledResult<ProcessEnd>;
}

/** Resolves when it is gone. */
async function listen(child: RunningProcess, {name, onMessage}: ChildOptions): Promise<Life> {
  const life: Pick<Life, 'hasSpoken' | 'verdict'> = {hasSpoken: false, verdict: undefined};
  const ended = Promise.allSettled([child.ended]);
  try {
    if (child.stdout) {
      for await (const message of messages(child.stdout, name)) {
        life.hasSpoken = true;
        if (message.type === 'done' || message.type === 'error') life.verdict = message;
        onMessage(message);
      }
    }
  } catch (error) {
    child.kill('SIGKILL');
    await child.ended;
    throw error;
  }
  const [end] = await ended;
  return {...life, end};
}

function noticesOf({verdict, end}: Life, name: string): string[] {
  if (end.status === 'rejected') throw end.reason;
  if (verdict?.type === 'done' && end.value.exitCode === 0) return verdict.notices;
  if (verdict?.type === 'error') throw errorOf(verdict);
  throw diedEarly(name, end.value);
}

/** Line by line, with a bound on what is kept while a line is not complete. */
async function* messages(stream: Readable, name: string): AsyncGenerator<ChildMessage> {
  let rest = '';
  for await (const text of stream.setEncoding('utf8')) {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > maxLineLength) throw new ImgctlError('InternalError', `The ${name} sent too much`);
    for (const line of lines) yield parseChildMessage(line);
  }
}

function errorOf({code, message, hint, details}: ChildMessage & {type: 'error'}): ImgctlError {
  return new ImgctlError(code, message, {
    ...(hint === undefined ? {} : {hint}),
    ...(details ? {details} : {}),
  });
}

function diedEarly(name: string, end: ProcessEnd): ImgctlError {
  const how = end.signal ? `by signal ${end.signal}` : `with status ${end.exitCode}`;
  return new ImgctlError('InternalError', `The ${name} ended early ${how}`, {
    ...(end.stderrTail === '' ? {} : {details: {stderr: end.stderrTail}}),
  });
}

/** Bundled code lies in dist/ or dist/chunks/, sources in src/; what starts the programs is always in dist/. */
function findStarter(): string {
  for (let directory = import.meta.dirname; ; directory = path.dirname(directory)) {
    const candidate = path.join(directory, 'dist/start.cjs');
    if (existsSync(candidate)) return candidate;
    if (directory === path.dirname(directory)) {
      throw new ImgctlError('InternalError', 'A program is missing: dist/start.cjs');
    }
  }
}
