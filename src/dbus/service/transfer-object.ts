import type {IncomingCall} from '../bus-messages.ts';
import type {Authority} from './authority.ts';
import {transferInterface} from './interfaces.ts';
import type {ServedInterface} from './object-server.ts';
import type {RunningTransfer, TransferTable} from './transfer-table.ts';

/** org.freedesktop.import1.Transfer: one running transfer. */
export class TransferObject implements ServedInterface {
  readonly description = transferInterface;
  readonly #transfer: RunningTransfer;
  readonly #transfers: TransferTable;
  readonly #authority: Authority;

  constructor(transfer: RunningTransfer, options: {transfers: TransferTable; authority: Authority}) {
    this.#transfer = transfer;
    this.#transfers = options.transfers;
    this.#authority = options.authority;
  }

  /** Cancel, the only method. It asks for the right to pull, not to cancel, as importd's does. */
  async call(_member: string, call: IncomingCall): Promise<unknown[]> {
    await this.#authority.check(call, 'org.freedesktop.import1.pull');
    this.#transfers.cancel(this.#transfer);
    return [];
  }

  get(property: string): unknown {
    const {id, progress, request} = this.#transfer;
    const values: Record<string, unknown> = {
      Id: id,
      Local: request.localName,
      Remote: request.remote,
      Type: request.type,
      Verify: request.verify ?? '',
      Progress: progress,
    };
    return values[property];
  }
}
