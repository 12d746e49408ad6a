/**
 * Entry of the process that does one transfer of the importctl family: `transfer-worker.js TASK`, TASK being JSON. It
 * outlives its client: what it reports on standard output may have no reader any more. Descriptor 3 is the input of an
 * import from `-` or the output of an export, where there is one.
 */

import {closeSync, openSync, readlinkSync} from 'node:fs';
import path from 'node:path';
import {importdRefusal, importdWords} from '../actions/importd-words.ts';
import {runTransfer} from '../actions/run-transfer.ts';
import {settleBusOrder, type TransferOrder} from '../actions/transfer-order.ts';
import {ImgctlError} from '../errors.ts';
import {maskUrl} from '../http/mask-url.ts';
import {formatSize} from '../manifest/size-text.ts';
import {writeOutputFile} from '../sys/output-file.ts';
import {CommandContext} from './context.ts';
import {processEnvironment} from './environment.ts';
import {doTransfer} from './importctl/do-transfer.ts';
import type {TransferTask} from './importctl/transfer-messages.ts';
import {Output} from './output.ts';
import {RunLog} from './run-log.ts';

const passedFd = 3;

const task: TransferTask = JSON.parse(process.argv[2] ?? '{}');
const stop = new AbortController();
if (task.isFromBus) {
  process.stdin.on('end', () => stop.abort('SIGTERM')).resume();
  process.stdin.unref();
}
process.on('SIGTERM', () => stop.abort('SIGTERM'));
// The client's Ctrl-C reaches its whole foreground group; this process is not in it, but be sure.
process.on('SIGINT', () => undefined);
process.on('SIGHUP', () => undefined);
process.stdout.on('error', () => undefined);

async function main(): Promise<number> {
  const environment = {...processEnvironment(), cwd: task.cwd};
  const output = new Output(environment, {subject: 'imgctl', quiet: true, json: true});
  const context = new CommandContext({
    program: 'imgctl',
    environment,
    flags: {...task.flags, quiet: true},
    output,
    signal: stop.signal,
    log: new RunLog(environment, 'imgctl').log,
  });
  try {
    return await doTransfer(task, {
      context,
      signal: stop.signal,
      descriptor: passedFd,
      send: (message) => void process.stdout.write(`${JSON.stringify(message)}\n`),
    });
  } finally {
    await context.close();
  }
}

/** Tells fractions; to the bus as importd does, which speaks of whole percents and never of the last one. */
function progressOf({verb}: TransferOrder): (fraction: number | undefined) => void {
  const sendFraction = (fraction: number | undefined) => send({type: 'progress', fraction: fraction ?? null});
  if (!task.isFromBus) return inSteps(sendFraction);
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

async function transfer(context: CommandContext, current: TransferOrder): Promise<void> {
  const engine = await context.engine();
  const isOurs = task.program !== 'importctl' && !task.isFromBus;
  const run = async (outputFd: number): Promise<void> => {
    const {output} = await runTransfer(
      {
        engine,
        store: {
          imageClass: current.imageClass,
          directory: task.directory ?? context.imageDirectory(current.imageClass),
        },
        signal: stop.signal,
        input:
          current.remote === '-'
            ? {fd: passedFd, name: readlinkSync(`/proc/self/fd/${passedFd}`)}
            : {path: path.resolve(task.cwd, current.remote)},
        outputFd,
        outputName: current.remote === '-' ? undefined : path.resolve(task.cwd, current.remote),
        digestOutput: isOurs && current.remote === '-',
        shownRemote: maskUrl(current.remote),
        refusesSecondPull: task.program === 'importctl',
        onStart: (started) => {
          told.isStarted = true;
          send({type: 'started', id: started.id});
          started.onLog(tell);
          started.onProgress(progressOf(current));
        },
      },
      current,
    );
    if (output) tell(6, `Wrote ${formatSize(output.sizeBytes)}, sha256 ${output.sha256}`);
  };
  if (!current.verb.startsWith('export-')) return run(-1);
  if (current.remote === '-') return run(passedFd);
  const file = path.resolve(task.cwd, current.remote);
  if (task.outputIsSpecial) {
    const fd = openSync(file, 'w');
    return run(fd).finally(() => closeSync(fd));
  }
  await writeOutputFile(file, run);
}

process.exitCode = await main();
