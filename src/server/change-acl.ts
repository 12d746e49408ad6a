import {isUuid} from '../manifest/manifest.ts';
import type {Endpoint, Exchange} from './exchange.ts';
import {readJsonBody} from './json-body.ts';
import {refusals} from './refusals.ts';
import {ownImage} from './visible-image.ts';

/** AddImageAcl and RemoveImageAcl (spec/imgapi.md §3.9): what is there already, or not there, is no error. */
export const changeAcl: Endpoint = async (exchange, context) => {
  const image = ownImage(exchange, context);
  const action = exchange.query.get('action') ?? 'add';
  if (action !== 'add' && action !== 'remove') {
    throw refusals.invalidParameter('action', `"${action}" is not a valid action`);
  }
  exchange.checkPreconditions(image, context);
  const accounts = await readAccounts(exchange);
  const changed = await context.store.update(image.uuid, (current) => {
    const manifest = current.readManifest();
    const kept = Array.isArray(manifest.acl) ? (manifest.acl as string[]) : [];
    const acl =
      action === 'add'
        ? [...new Set([...kept, ...accounts])]
        : kept.filter((account) => !accounts.includes(account));
    return {...manifest, acl};
  });
  exchange.sendImage(changed, context);
};

async function readAccounts(exchange: Exchange): Promise<string[]> {
  const accounts = await readJsonBody(exchange);
  if (!Array.isArray(accounts)) throw refusals.invalidParameter('acl', 'invalid image "acl" (not an array)');
  for (const [index, account] of accounts.entries()) {
    if (isUuid(account)) continue;
    throw refusals.invalidParameter('acl', `invalid image "acl" (item ${index} is not a UUID): ${account}`);
  }
  return accounts;
}
