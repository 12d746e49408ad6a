/**
 * Entry of the process that does one transfer of the importctl family: `transfer-worker.js VERB`, its task on standard input. It
 * outlives its client: what it reports on standard output may have no reader any more. Descriptor 3 is the input of an
 * import from `-` or the output of an export, where there is one.
 */

import {readSync} from 'node:fs';
import {CommandContext} from './context.ts';
import {processEnvironment} from './environment.ts';
import {doTransfer} from './importctl/do-transfer.ts';
import type {TransferTask} from './importctl/transfer-messages.ts';
import {Output} from './output.ts';
import {RunLog} from './run-log.ts';

const passedFd = 3;
const newline = 10;

function readTask(): TransferTask {
  const parts: Buffer[] = [];
  const part = Buffer.alloc(64 * 1024);
  for (let length = readSync(0, part); length > 0; length = readSync(0, part)) {
    parts.push(Buffer.from(part.subarray(0, length)));
    if (part[length - 1] === newline) break;
  }
  return JSON.parse(Buffer.concat(parts).toString());
}

const task = readTask();
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

process.exitCode = await main();
