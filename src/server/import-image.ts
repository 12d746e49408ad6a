import {ImgctlError} from '../errors.ts';
import {upgradeManifest} from '../manifest/upgrade.ts';
import type {Endpoint} from './exchange.ts';
import {readJsonBody} from './json-body.ts';
import {checkSettable, fieldsOf, newManifest, unsetOwner} from './new-manifest.ts';
import {refusals} from './refusals.ts';

/** AdminImportImage (spec/imgapi.md §3.6): an unactivated image under the UUID it has elsewhere. */
export const importImage: Endpoint = async (exchange, context) => {
  const {uuid, account} = exchange;
  if (account !== undefined) throw refusals.operatorOnly();
  exchange.booleanParameter('skip_owner_check');
  if (exchange.query.has('source')) throw refusals.notAvailable('import from a source is not available');
  const fields = fieldsOf(await readJsonBody(exchange));
  if (fields.uuid !== uuid) {
    const message = `URL UUID, "${uuid}" and body UUID, "${fields.uuid}" do not match`;
    throw refusals.invalidParameter('uuid', message);
  }
  checkSettable(fields, 'import');
  if (fields.published_at !== undefined && typeof fields.published_at !== 'string') {
    throw refusals.invalidParameter('published_at', 'invalid "published_at"');
  }
  const manifest = newManifest({...upgraded(fields), owner: unsetOwner}, exchange, context);
  const image = await context.store.create(manifest, () => {
    if (context.store.find(uuid) !== undefined) throw refusals.uuidExists(uuid);
  });
  exchange.sendImage(image, context);
};

/** Without a version there is nothing to upgrade from; that is for the validation to say. */
function upgraded(fields: Record<string, unknown>): Record<string, unknown> {
  if (fields.v === undefined && fields.creator_uuid === undefined) return fields;
  try {
    return upgradeManifest(fields);
  } catch (error) {
    if (error instanceof ImgctlError) throw refusals.invalidParameter('manifest', error.message);
    throw error;
  }
}
