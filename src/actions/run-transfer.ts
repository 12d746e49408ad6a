/** Does what an order says with an engine, until it ends (spec/engine.md §2-§8). */

import type {Engine, ImageStore, ImportRequest, Transfer, TransferResult} from '../engine/engine.ts';
import {ImgctlError} from '../errors.ts';
import type {TransferOrder} from './transfer-order.ts';

export interface RunTransferContext {
  engine: Engine;
  store: ImageStore;
  signal: AbortSignal;
  /** Absolute path of the input of an import, or the open input itself. */
  input: {path: string} | {fd: number; name: string};
  /** Open descriptor for the output of an export. */
  outputFd: number;
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

function start(context: RunTransferContext, order: TransferOrder): Promise<Transfer> {
  const {engine, store, signal} = context;
  const {verb, force, readOnly} = order;
  if (verb === 'pull-tar' || verb === 'pull-raw') {
    const {localName, verify, keepDownload, remote: url} = order;
    const format = verb === 'pull-tar' ? 'tar' : 'raw';
    return engine.pull({format, store, url, localName, verify, force, readOnly, keepDownload, signal});
  }
  const localName = order.localName ?? '';
  if (verb === 'export-tar' || verb === 'export-raw') {
    const format = verb === 'export-tar' ? 'tar' : 'raw';
    return engine.export({
      format,
      store,
      localName,
      compression: order.compression,
      outputFd: context.outputFd,
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

/** Failures in the words of importd, which scripts read (spec/importctl.md §4, spec/engine.md §7). */
export function importdWords(error: unknown, order: TransferOrder): string {
  if (!(error instanceof ImgctlError)) return error instanceof Error ? error.message : String(error);
  if (error.code === 'ImageAlreadyExists') return `Image '${order.localName}' already exists.`;
  if (error.code === 'ImageNotInstalled') return `Image ${order.localName} not found.`;
  if (error.code === 'Interrupted') return 'Transfer aborted.';
  return error.message;
}
