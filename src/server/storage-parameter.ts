import type {Exchange} from './exchange.ts';
import {refusals} from './refusals.ts';

const storages = ['local', 'manta'];

/** There is one place to keep files; the parameter is for operators of servers with several. */
export function checkStorage(exchange: Exchange): void {
  const storage = exchange.query.get('storage');
  if (storage === null) return;
  if (!storages.includes(storage)) {
    const message = `invalid storage "${storage}" (must be one of ${storages.join(', ')})`;
    throw refusals.invalidParameter('storage', message);
  }
  if (exchange.account !== undefined) {
    const reason = 'Parameter cannot be specified by non-operators';
    throw refusals.notAllowed('storage', `invalid storage "${storage}"`, reason);
  }
  if (storage !== 'local') throw refusals.storageUnsupported();
}
