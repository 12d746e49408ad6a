import type {Endpoint} from './exchange.ts';
import {refusals} from './refusals.ts';

/** The reference server whose behaviour this one has; clients may look at it. */
export const serverVersion = '4.13.1';

const sampleUuid = '00000000-0000-4000-8000-000000000000';

/** What `?error=` asks to see, without the suffix `Error`. */
const samples = {
  ImageAlreadyActivated: () => refusals.alreadyActivated(sampleUuid),
  ImageFilesImmutable: () => refusals.filesImmutable(sampleUuid),
  ImageUuidAlreadyExists: () => refusals.uuidExists(sampleUuid),
  Internal: () => refusals.internal('boom'),
  InvalidParameter: () => refusals.invalidParameter('foo', 'invalid "foo"'),
  NoActivationNoFile: () => refusals.noActivationNoFile(sampleUuid),
  OperatorOnly: () => refusals.operatorOnly(),
  RemoteSource: () => refusals.remoteSource(''),
  StorageIsDown: () => refusals.storageIsDown(),
  StorageUnsupported: () => refusals.storageUnsupported(),
  ValidationFailed: () => refusals.validationFailed('boom', []),
};

/** Codes of the protocol for which there is no sample. */
const unsampled = new Set([
  ...['AccountDoesNotExist', 'BadRequest', 'Download', 'ImageFileTooBig', 'ImageHasDependentImages'],
  ...['ImageNotShared', 'InsufficientServerVersion', 'InvalidHeader', 'NotAvailable', 'NotImageOwner'],
  ...['NotImplemented', 'NotMantaPathOwner', 'OriginDoesNotExist', 'OriginIsNotActive', 'OwnerDoesNotExist'],
  ...['ResourceNotFound', 'ServiceUnavailable', 'Unauthorized', 'Upload'],
]);

/** Ping (spec/imgapi.md §3.1); with `?error=CODE` a sample of that error. */
export const ping: Endpoint = (exchange) => {
  const wanted = exchange.query.get('error');
  if (wanted !== null) throw sampleError(wanted.replace(/Error$/, ''));
  const {user} = exchange;
  const facts = user === undefined ? {} : {pid: process.pid, user};
  exchange.sendJson(200, {ping: 'pong', version: serverVersion, imgapi: true, ...facts});
};

function sampleError(name: string): Error {
  if (name === '') return samples.Internal();
  if (Object.hasOwn(samples, name)) return samples[name as keyof typeof samples]();
  if (unsampled.has(name)) return refusals.internal(`do not have a sample "${name}Error" error`);
  return refusals.invalidParameter('error', `unknown error: ${name}Error`, 'Missing');
}
