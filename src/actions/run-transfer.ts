/** Does what an order says with an engine, until it ends (spec/engine.md §2-§8). */

import type {
  Engine,
  ImageStore,
  ImportRequest,
  Transfer,
  TransferResult,
  TransferType,
} from '../engine/engine.ts';
import {ImgctlError} from '../errors.ts';
import type {TransferOrder} from './transfer-order.ts';

export interface RunTransferContext {
  engine: Engine;
  store: ImageStore;
  signal: AbortSignal;
  /** Absolute path of the input of an import, or the open input itself. */
  input: {path: string} | {fd: number; name: string};
  /** Open descriptor for the output of an export, and its path unless it is standard output. */
  outputFd: number;
  outputName: string | undefined;
  /** Whether to tell the digest of what goes into a pipe. */
  digestOutput?: boolean;
  /** The URL of a pull as transfers show it. */
  shownRemote: string;
  /** Refuse a pull of a URL that is being pulled, as importd does. Otherwise it waits for the download and shares it. */
  refusesSecondPull: boolean;
  /** Called once, when the transfer has its id; its listeners get all lines. */
  onStart(transfer: Transfer): void;
}

export async function runTransfer(
  context: RunTransferContext,
  order: TransferOrder,
): Promise<TransferResult> {
  const transfer = await start(context, order);
  context.onStart(transfer);
  return transfer.finished;
}

async function start(context: RunTransferContext, order: TransferOrder): Promise<Transfer> {
  const {engine, store, signal} = context;
  const {verb, force, readOnly} = order;
  if (verb === 'pull-tar' || verb === 'pull-raw') {
    const {localName, verify, keepDownload, remote: url} = order;
    const format = verb === 'pull-tar' ? 'tar' : 'raw';
    if (context.refusesSecondPull) await checkIsAlone(context, verb);
    return engine.pull({format, store, url, localName, verify, force, readOnly, keepDownload, signal});
  }
  const localName = order.localName ?? '';
  if (verb === 'export-tar' || verb === 'export-raw') {
    const format = verb === 'export-tar' ? 'tar' : 'raw';
    return engine.export({
      parallel: true,
      format,
      store,
      localName,
      compression: order.compression,
      outputFd: context.outputFd,
      ...(context.outputName !== undefined && {outputName: context.outputName}),
      digestOutput: context.digestOutput === true,
      signal,
    });
  }
  const formats = {'import-tar': 'tar', 'import-raw': 'raw', 'import-fs': 'directory'} as const;
  return engine.import({
    format: formats[verb],
    store,
    localName,
    ...sourceOf(context.input),
    force,
    readOnly,
    signal,
  });
}

function sourceOf(input: RunTransferContext['input']): Pick<ImportRequest, 'sourcePath' | 'sourceFd'> {
  return 'fd' in input ? {sourcePath: input.name, sourceFd: input.fd} : {sourcePath: input.path};
}

/** One pull of a URL at a time, as importd has it. */
async function checkIsAlone({engine, shownRemote}: RunTransferContext, type: TransferType): Promise<void> {
  const running = await engine.listTransfers();
  if (!running.some((transfer) => transfer.type === type && transfer.remote === shownRemote)) return;
  throw new ImgctlError('FileSystem', `Transfer for ${shownRemote} already in progress.`);
}
