/** Starts the process of a transfer that the service was asked for, and reads what it says. */

import {spawn} from 'node:child_process';
import path from 'node:path';
import {createInterface} from 'node:readline';
import type {TransferOrder} from '../../actions/transfer-order.ts';
import type {
  ProcessListener,
  StartTransfer,
  TransferProcess,
  TransferRequest,
} from '../../dbus/service/transfer-table.ts';
import type {PlaceFlags} from '../context-flags.ts';
import type {TransferMessage, TransferTask} from '../importctl/transfer-messages.ts';
import {packageRoot} from '../package-root.ts';

export interface StartOptions {
  env: Readonly<Record<string, string | undefined>>;
  flags: PlaceFlags;
  /** Where images go if the request does not say; undefined: to the directory of their class. */
  directory: string | undefined;
}

const errorLevel = 3;

export function transferStarter(options: StartOptions): StartTransfer {
  return (request, listener) => start(request, listener, options);
}

function start(request: TransferRequest, listener: ProcessListener, options: StartOptions): TransferProcess {
  const {env, flags} = options;
  const {descriptor, directory = options.directory} = request;
  const task: TransferTask = {
    program: 'importctl',
    order: orderOf(request),
    cwd: '/',
    flags,
    outputIsSpecial: false,
    isFromBus: true,
    ...(directory !== undefined && {directory}),
  };
  const program = path.join(packageRoot(), 'dist/transfer-worker.js');
  // The flag is what `collectOften` of src/start.cjs does.
  const worker = spawn(process.execPath, ['--max-semi-space-size=1', program, task.order.verb], {
    cwd: '/',
    env: {...env},
    // Arguments are for everybody to see, and a URL may hold a token. What follows the task ends with this process, and
    // the transfer with it.
    stdio: ['pipe', 'pipe', 'inherit', ...(descriptor === undefined ? [] : [descriptor])],
  });
  worker.stdin?.on('error', () => undefined); // it has gone, which `close` tells
  worker.stdin?.write(`${JSON.stringify(task)}\n`);
  const lines = createInterface({input: worker.stdout as NonNullable<typeof worker.stdout>});
  lines.on('line', (line) => tell(line, listener));
  worker.on('error', (error) => listener.onLog(errorLevel, `Failed to start the transfer: ${error.message}`));
  worker.on('close', (exitCode, signal) =>
    listener.onEnd({exitCode: exitCode ?? undefined, signal: signal ?? undefined}),
  );
  return {kill: (signal) => void worker.kill(signal)};
}

/** The last line of a process that was killed may be half a line. */
function tell(line: string, listener: ProcessListener): void {
  let message: TransferMessage;
  try {
    message = JSON.parse(line);
  } catch {
    listener.onLog(errorLevel, 'The transfer process ended in the middle of a line');
    return;
  }
  if (message.type === 'log') listener.onLog(message.level, message.line);
  if (message.type === 'progress' && message.fraction !== null) listener.onProgress(message.fraction);
}

function orderOf(request: TransferRequest): TransferOrder {
  const {type, imageClass, localName, remote, verify, force, readOnly, keepDownload, format} = request;
  const isPull = type === 'pull-tar' || type === 'pull-raw';
  return {
    verb: type,
    imageClass,
    localName: isPull && localName === '' ? undefined : localName,
    remote: isPull ? remote : '-',
    verify: verify ?? 'no',
    ...{force, readOnly, keepDownload},
    compression: format as TransferOrder['compression'],
  };
}
