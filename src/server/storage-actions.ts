/** ExportImage and AdminChangeImageStor: there is one place here to keep files, so little of them is left to do. */
import type {Endpoint, Exchange} from './exchange.ts';
import {refusals} from './refusals.ts';
import {ownImage} from './visible-image.ts';

export const changeStorage: Endpoint = (exchange, context) => {
  if (exchange.account !== undefined) throw refusals.operatorOnly();
  const wanted = requiredParameter(exchange, 'stor', 'missing "stor" query parameter');
  if (wanted !== 'local') {
    const items = [{field: 'stor', code: 'Invalid'}];
    throw refusals.validationFailed(`unknown storage type "${wanted}"`, items);
  }
  const image = ownImage(exchange, context);
  if (image.file === undefined) throw refusals.noFile(image.uuid);
  exchange.isForOperators = true;
  exchange.sendImage(image, context);
};

/** Refused, as by every server without that store. */
export const exportImage: Endpoint = (exchange, context) => {
  const place = requiredParameter(exchange, 'manta_path', "missing 'manta_path' prefix parameter");
  if (!/^\/[^/]+\/[^/]+/.test(place)) {
    throw refusals.invalidParameter('manta_path', 'invalid manta_path prefix, not a valid manta path');
  }
  ownImage(exchange, context);
  throw refusals.storageUnsupported();
};

function requiredParameter(exchange: Exchange, name: string, message: string): string {
  const value = exchange.query.get(name);
  if (value) return value;
  throw refusals.validationFailed(message, [{field: name, code: 'MissingParameter'}]);
}
