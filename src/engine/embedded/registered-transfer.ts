/** Transfers that every process of the root sees, from their start to their end. */
import type {Transfer, TransferResult} from '../engine.ts';
import {EmbeddedTransfer} from './embedded-transfer.ts';
import {asImgctlError} from './failure.ts';
import type {TransferDescription, TransferRecord, TransferRegistry} from './transfer-registry.ts';

export interface RegisteredWork {
  registry: TransferRegistry;
  description: TransferDescription;
  /** The caller's; the transfer can be cancelled by others too. */
  outerSignal: AbortSignal | undefined;
  run: (listener: EmbeddedTransfer, signal: AbortSignal) => Promise<TransferResult>;
}

/** A registered transfer around work that begins at once. */
export async function startRegistered({
  registry,
  description,
  outerSignal,
  run,
}: RegisteredWork): Promise<Transfer> {
  const {controller, release} = abortsWith(outerSignal);
  const record = await openRecord(registry, description, () => controller.abort());
  const {promise, resolve} = Promise.withResolvers<TransferResult>();
  const finished = promise.finally(() => {
    release();
    record.close();
  });
  const transfer = new EmbeddedTransfer(description, record, {controller, finished});
  resolve(run(transfer, controller.signal));
  return transfer;
}

export async function openRecord(
  registry: TransferRegistry,
  description: TransferDescription,
  cancel: () => void,
): Promise<TransferRecord> {
  try {
    return await registry.open(description, cancel);
  } catch (error) {
    throw asImgctlError(error, `Registering a transfer in "${registry.directory}"`);
  }
}

/** A controller of its own that also follows the caller's signal, until it is released. */
export function abortsWith(signal: AbortSignal | undefined): {
  controller: AbortController;
  release: () => void;
} {
  const controller = new AbortController();
  const abort = () => controller.abort();
  if (signal?.aborted) abort();
  signal?.addEventListener('abort', abort, {once: true});
  return {controller, release: () => signal?.removeEventListener('abort', abort)};
}
