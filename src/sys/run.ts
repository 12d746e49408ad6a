/** Starts other programs: an argument list, a clean environment, named descriptors, and always an end. */
import {type ChildProcess, spawn} from 'node:child_process';
import type {Duplex, Readable, Writable} from 'node:stream';
import {native} from './native.ts';

/** Where programs are looked for; the caller's own PATH is never used. */
export const programPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const defaultGraceMs = 2000;
const stderrTailBytes = 8192;

export interface RunOptions {
  /** Variables besides PATH and a neutral locale. */
  env?: Record<string, string>;
  cwd?: string;
  /** A descriptor, or a pipe; nothing by default. */
  stdin?: number | 'pipe';
  stdout?: number | 'pipe';
  /** Given to the program as 3, 4, …; a pipe where it says so. */
  descriptors?: readonly (number | 'pipe')[];
  /** Ends the program and everything in its process group: SIGTERM, then SIGKILL. */
  signal?: AbortSignal;
  /** Time between the two (default 2000); 0 sends SIGKILL at once. */
  graceMs?: number;
}

export interface ProcessEnd {
  exitCode: number | undefined;
  signal: NodeJS.Signals | undefined;
  /** The last 8 KiB of what it wrote to standard error. */
  stderrTail: string;
}

export interface RunningProcess {
  readonly pid: number;
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
  /** The pipes among its descriptors, in their order. */
  readonly pipes: readonly Duplex[];
  /** Ends the whole process group. */
  kill(signal: NodeJS.Signals): void;
  /** Resolves when the program has ended and its pipes are closed; rejects if it could not be started. */
  readonly ended: Promise<ProcessEnd>;
}

/** Starts a program in a process group of its own. Whoever starts it awaits `ended`. */
export function startProcess(
  command: string,
  list: readonly string[],
  options: RunOptions = {},
): RunningProcess {
  // Node's own descriptors are closed on exec, those it inherited are not; kernels before 5.11 refuse this.
  native().closeOnExec();
  const child = spawn(command, list, {
    cwd: options.cwd,
    env: {PATH: programPath, LC_ALL: 'C.UTF-8', ...options.env},
    detached: true,
    stdio: [options.stdin ?? 'ignore', options.stdout ?? 'ignore', 'pipe', ...(options.descriptors ?? [])],
  });
  const kill = (signal: NodeJS.Signals) => killGroup(child, signal);
  const tail = new Tail(child.stderr);
  const ended = endOf(child, options, kill).then((end) => ({...end, stderrTail: tail.text()}));
  const pipes = child.stdio.slice(3).filter((stream) => stream !== null) as unknown as Duplex[];
  return {pid: child.pid ?? -1, stdin: child.stdin, stdout: child.stdout, pipes, kill, ended};
}

/** Runs a program to its end. The result says how it ended; only a failing start throws. */
export async function runProcess(
  command: string,
  list: readonly string[],
  options: Omit<RunOptions, 'stdin' | 'stdout'> & {stdin?: number; stdout?: number} = {},
): Promise<ProcessEnd> {
  return await startProcess(command, list, options).ended;
}

function endOf(
  child: ChildProcess,
  {signal, graceMs = defaultGraceMs}: RunOptions,
  kill: (signal: NodeJS.Signals) => void,
): Promise<Omit<ProcessEnd, 'stderrTail'>> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    const onAbort = () => {
      kill(graceMs > 0 ? 'SIGTERM' : 'SIGKILL');
      timer = setTimeout(() => kill('SIGKILL'), graceMs);
    };
    const stop = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    };
    child.once('error', (error) => {
      stop();
      reject(error);
    });
    // A wrapper that is killed may leave what it started waiting for it for ever, with the pipes in its hands.
    child.once('exit', (_exitCode, endSignal) => {
      if (endSignal !== null) killRest(child);
    });
    child.once('close', (exitCode, endSignal) => {
      stop();
      resolve({exitCode: exitCode ?? undefined, signal: endSignal ?? undefined});
    });
    if (signal?.aborted) onAbort();
    else signal?.addEventListener('abort', onAbort, {once: true});
  });
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  // Once it is reaped its number may be somebody else's.
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  sendToGroup(child.pid, signal);
}

/** To be called as soon as it is reaped: the number stays taken while the group has members, and is not given anew at once. */
function killRest({pid}: ChildProcess): void {
  if (pid !== undefined) sendToGroup(pid, 'SIGKILL');
}

function sendToGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

class Tail {
  #chunks: Buffer = Buffer.alloc(0);

  constructor(stream: Readable | null) {
    stream?.on('data', (chunk: Buffer) => {
      this.#chunks = Buffer.concat([this.#chunks, chunk]).subarray(-stderrTailBytes);
    });
  }

  text(): string {
    return this.#chunks.toString().trimEnd();
  }
}
