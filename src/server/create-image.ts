import type {Endpoint, Exchange} from './exchange.ts';
import {readJsonBody} from './json-body.ts';
import {checkSettable, fieldsOf, newManifest} from './new-manifest.ts';
import {refusals} from './refusals.ts';

/** CreateImage (spec/imgapi.md §3.6): a new unactivated image under a UUID of the server's choice. */
export const createImage: Endpoint = async (exchange, context) => {
  checkAction(exchange);
  const {account} = exchange;
  const fields = ownedBy(account, fieldsOf(await readJsonBody(exchange)));
  if (fields.state !== undefined) {
    const item = {field: 'state', code: 'NotAllowed', message: 'Parameter cannot be set'};
    throw refusals.invalidImage([item], '"state"');
  }
  checkSettable(fields, 'create');
  const manifest = newManifest({...fields, v: fields.v ?? 2}, exchange, context);
  const image = await context.store.create(manifest, () => undefined);
  exchange.sendImage(image, context);
};

function checkAction(exchange: Exchange): void {
  const action = exchange.query.get('action');
  if (action === null) return;
  if (action === 'create-from-vm' || action.startsWith('import-')) {
    throw refusals.notAvailable('custom image creation is not currently available');
  }
  throw refusals.invalidParameter('action', `"${action}" is not a valid action`);
}

function ownedBy(account: string | undefined, fields: Record<string, unknown>): Record<string, unknown> {
  if (account === undefined) return fields;
  const {owner = account} = fields;
  if (owner === account) return {...fields, owner};
  throw refusals.invalidParameter(
    'owner',
    `invalid owner: given owner, "${owner}", does not match account, "${account}"`,
  );
}
