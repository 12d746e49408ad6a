/** Runs the unpacking child and turns its answers into a promise and calls. */
import {existsSync} from 'node:fs';
import path from 'node:path';
import type {Readable} from 'node:stream';
import {ImgctlError} from '../../errors.ts';
import {type ProcessEnd, startProcess} from '../../sys/run.ts';
import {type ChildMessage, parseChildMessage, type UnpackTask} from './child-protocol.ts';
import type {Sandbox} from './sandbox.ts';

/** Keeps the heap small; image data lives in buffers outside it. */
const nodeOptions = ['--max-old-space-size=128', '--max-semi-space-size=2', '--disable-warning=DEP0005'];
const maxLineLength = 256 * 1024;

export interface UnpackOptions {
  sandbox: Sandbox;
  /** The staging directory; becomes the child's working directory. */
  staging: string;
  /** The open source file; undefined for a directory. */
  source: number | undefined;
  task: UnpackTask;
  signal: AbortSignal;
  onMessage: (message: ChildMessage) => void;
}

/** Resolves with the child's notices once it is done and gone; rejects with what it reported. */
export async function runUnpackChild(options: UnpackOptions): Promise<string[]> {
  const {sandbox, staging, source, task, signal, onMessage} = options;
  const command = [process.execPath, ...nodeOptions, findChild(), JSON.stringify(task)];
  const readable = task.sourceDirectory === undefined ? {} : {readable: task.sourceDirectory};
  const [program = '', ...list] = await sandbox.wrap(command, {target: staging, ...readable});
  const child = startProcess(program, list, {
    cwd: staging,
    stdout: 'pipe',
    signal,
    graceMs: 0, // it has nothing to finish, and some wrappers ignore SIGTERM
    ...(source === undefined ? {} : {stdin: source}),
  });
  let last: ChildMessage | undefined;
  try {
    if (child.stdout) {
      for await (const message of messages(child.stdout)) {
        last = message;
        onMessage(message);
      }
    }
  } catch (error) {
    child.kill('SIGKILL');
    await child.ended;
    throw error;
  }
  const end = await child.ended;
  if (last?.type === 'done' && end.exitCode === 0) return last.notices;
  if (last?.type === 'error') throw errorOf(last);
  throw diedEarly(end);
}

/** Line by line, with a bound on what is kept while a line is not complete. */
async function* messages(stream: Readable): AsyncGenerator<ChildMessage> {
  let rest = '';
  for await (const text of stream.setEncoding('utf8')) {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > maxLineLength)
      throw new ImgctlError('InternalError', 'The unpacking process sent too much');
    for (const line of lines) yield parseChildMessage(line);
  }
}

function errorOf({code, message, hint, details}: ChildMessage & {type: 'error'}): ImgctlError {
  return new ImgctlError(code, message, {
    ...(hint === undefined ? {} : {hint}),
    ...(details ? {details} : {}),
  });
}

function diedEarly(end: ProcessEnd): ImgctlError {
  const how = end.signal ? `by signal ${end.signal}` : `with status ${end.exitCode}`;
  return new ImgctlError('InternalError', `The unpacking process ended early ${how}`, {
    ...(end.stderrTail === '' ? {} : {details: {stderr: end.stderrTail}}),
  });
}

/** Bundled code lies in dist/ or dist/chunks/, sources in src/; the child is always dist/unpack-child.js. */
function findChild(): string {
  for (let directory = import.meta.dirname; ; directory = path.dirname(directory)) {
    const candidate = path.join(directory, 'dist', 'unpack-child.js');
    if (existsSync(candidate)) return candidate;
    if (directory === path.dirname(directory)) {
      throw new ImgctlError('InternalError', 'The unpacking program is missing: dist/unpack-child.js');
    }
  }
}
