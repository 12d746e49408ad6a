/** The refusals of the protocol: code, status and text of each in one place (spec/imgapi.md §2). */
import {ServerError, type ServerErrorItem} from '../errors.ts';

function refusal(status: number, code: string, message: string, items?: ServerErrorItem[]): ServerError {
  return new ServerError(message, {serverCode: code, statusCode: status, ...(items && {items})});
}

export const refusals = {
  /** The shape most parameter errors have: one field, code `Invalid`. */
  invalidParameter: (field: string, message: string, code = 'Invalid') =>
    refusal(422, 'InvalidParameter', message, [{field, code}]),
  notBoolean: (field: string, value: string) =>
    refusals.invalidParameter(field, `invalid value for "${field}" param: "${value}" is not a boolean`),
  extraParameters: (fields: readonly string[]) =>
    refusal(
      422,
      'InvalidParameter',
      `invalid extra parameters: ${fields.map((field) => `"${field}"`).join(', ')}`,
      fields.map((field) => ({field, code: 'Invalid'})),
    ),
  notAllowed: (field: string, message: string, reason: string) =>
    refusal(422, 'InvalidParameter', message, [{field, code: 'NotAllowed', message: reason}]),
  missingBody: () =>
    refusals.validationFailed('missing request body', [{field: 'body', code: 'MissingParameter'}]),
  invalidImage: (items: ServerErrorItem[], fields = items.map((item) => item.field).join(', ')) =>
    refusals.validationFailed(`invalid image data: ${fields}`, items),
  invalidUpdate: (items: ServerErrorItem[], fields = items.map((item) => item.field).join(', ')) =>
    refusals.validationFailed(`invalid image update data: ${fields}`, items),
  unknownChannel: (name: string) =>
    refusals.validationFailed(`unknown channel: ${name}`, [{field: 'channel', code: 'Invalid'}]),
  noDefaultChannel: () =>
    refusals.validationFailed('channel not specified and the server has no default channel', [
      {field: 'channel', code: 'MissingParameter'},
    ]),
  validationFailed: (message: string, items: ServerErrorItem[]) =>
    refusal(422, 'ValidationFailed', message, items),
  filesImmutable: (uuid: string) =>
    refusal(422, 'ImageFilesImmutable', `cannot modify files on activated image ${uuid}`),
  alreadyActivated: (uuid: string) =>
    refusal(422, 'ImageAlreadyActivated', `image "${uuid}" is already activated`),
  noActivationNoFile: (uuid: string) =>
    refusal(422, 'NoActivationNoFile', `image "${uuid}" cannot be activated: it has no file`),
  notOwner: (account: string, uuid: string) =>
    refusal(422, 'NotImageOwner', `account ${account} is not the owner of image ${uuid}`),
  originDoesNotExist: (uuid: string) =>
    refusal(422, 'OriginDoesNotExist', `origin image "${uuid}" does not exist`),
  hasDependents: (uuid: string, dependents: readonly string[]) => {
    const count = dependents.length;
    const shown = count < 10 ? dependents : dependents.slice(0, 5);
    const rest = count === shown.length ? '' : `, and ${count - shown.length} more...`;
    const message = `image "${uuid}" has ${count} dependent incremental image(s): ${shown.join(', ')}${rest}`;
    return refusal(422, 'ImageHasDependentImages', message);
  },
  operatorOnly: () => refusal(403, 'OperatorOnly', 'this endpoint may only be called by an operator'),
  uuidExists: (uuid: string) => refusal(409, 'ImageUuidAlreadyExists', `image uuid "${uuid}" already exists`),
  upload: (message: string) => refusal(400, 'Upload', message),
  download: (message: string) => refusal(400, 'Download', message),
  /** Nobody, or somebody who is not who they say. */
  unauthenticated: () => refusal(401, 'UnauthorizedError', 'Unauthorized'),
  badSignature: (message: string) => refusal(401, 'UnauthorizedError', message),
  unauthorized: (reason: string) => refusal(401, 'UnauthorizedError', `Unauthorized (${reason})`),
  invalidContent: (message: string) => refusal(400, 'InvalidContent', message),
  badDigest: (message: string) => refusal(400, 'BadDigest', message),
  bodyTooLarge: (limitBytes: number) =>
    refusal(413, 'RequestEntityTooLarge', `request body is larger than ${limitBytes} bytes`),
  invalidVersion: (range: string, request: string) =>
    refusal(400, 'InvalidVersion', `${range} is not supported by ${request}`),
  preconditionFailed: (message: string) => refusal(412, 'PreconditionFailed', message),
  rangeNotSatisfiable: (sizeBytes: number) =>
    refusal(416, 'RequestedRangeNotSatisfiable', `the file has ${sizeBytes} bytes`),
  noSuchPath: (path: string) => refusal(404, 'ResourceNotFound', `${path} does not exist`),
  noSuchImage: (uuid: string) => refusal(404, 'ResourceNotFound', `image ${uuid} not found`),
  hiddenImage: () => refusal(404, 'ResourceNotFound', 'image not found'),
  noFile: (uuid: string) => refusal(404, 'ResourceNotFound', `image "${uuid}" has no file`),
  noIcon: (uuid: string) => refusal(404, 'ResourceNotFound', `image "${uuid}" has no icon`),
  noFileAt: (uuid: string, index: number) =>
    refusal(404, 'ResourceNotFound', `image "${uuid}" has no file at index ${index}`),
  methodNotAllowed: (method: string) => refusal(405, 'MethodNotAllowedError', `${method} is not allowed`),
  notAvailable: (message: string) => refusal(501, 'NotAvailable', message),
  storageIsDown: () => refusal(503, 'StorageIsDown', 'storage is down at the moment'),
  storageUnsupported: () => refusal(503, 'StorageUnsupported', 'storage type is unsupported'),
  remoteSource: (message: string) => refusal(503, 'RemoteSourceError', message),
  internal: (message: string) => refusal(500, 'InternalError', message),
};
