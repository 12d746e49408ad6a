import {createHash} from 'node:crypto';
import type {IncomingHttpHeaders} from 'node:http';
import {ImgctlError, ServerError, type ServerErrorItem} from '../errors.ts';

/** A complete answer, as the http room hands it over. */
export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
  encodedBody: Buffer;
}

const maxItems = 100;
const maxTextLength = 4096;

/** The JSON of an answer that must be a success; `subject` stands in front of every message. */
export function successJson(answer: Answer, subject: string): unknown {
  checkDigest(answer, subject);
  if (answer.status < 200 || answer.status > 299) throw serverError(answer, subject);
  const json = parseJson(answer.body);
  if (json === undefined) throw notJson(answer.status, subject);
  return json;
}

/** What a refusal becomes: the server's own code and items where it names them (spec/imgadm.md §9.4, §11). */
export function serverError(answer: Pick<Answer, 'status' | 'body'>, subject: string): ImgctlError {
  const {code, message, errors} = errorFields(parseJson(answer.body));
  if (code === undefined) {
    const text = `${subject}: statusCode ${answer.status}${excerpt(answer.body)}`;
    return new ImgctlError('InternalError', text, {retryable: answer.status === 429 || answer.status >= 502});
  }
  const items = errors.map(itemLine);
  return new ServerError(
    [`${subject}: ${message}`, ...items].join('\n'),
    {serverCode: code, statusCode: answer.status, items: errors},
    {
      retryable: answer.status === 429 || answer.status >= 502,
      ...(answer.status === 401 && {hint: unauthorizedHint}),
    },
  );
}

const unauthorizedHint =
  'say who you are with a user, and an RSA key or a password, that the server knows: imgctl sources -a URL --user NAME --key FILE';

/** The value of a JSON body, or undefined when it is not JSON; JSON itself has no undefined. */
export function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** Base64 MD5, as `Content-MD5` has it. */
export function contentMd5(body: Buffer): string {
  return createHash('md5').update(body).digest('base64');
}

/** Throws `BadDigest` when the body is not the one its `Content-MD5` speaks of. */
export function checkDigest(answer: Answer, subject: string): void {
  if (typeof answer.headers['content-md5'] === 'string')
    checkStatedMd5(answer, contentMd5(answer.encodedBody), subject);
}

/** The same for a body that was not collected. */
export function checkStatedMd5(
  {status, headers}: Pick<Answer, 'status' | 'headers'>,
  actual: string,
  subject: string,
): void {
  const stated = String(headers['content-md5']);
  if (stated === actual) return;
  throw new ServerError(
    `${subject}: Content-MD5 expected to be ${stated.slice(0, 64)}, but was ${actual}`,
    {serverCode: 'BadDigest', statusCode: status},
    {retryable: true},
  );
}

export function notJson(status: number, subject: string): ImgctlError {
  return new ImgctlError('InternalError', `${subject}: statusCode ${status}, response not JSON`);
}

function errorFields(json: unknown): {code: string | undefined; message: string; errors: ServerErrorItem[]} {
  const {code, message, errors} = Object(json) as Record<string, unknown>;
  return {
    code: typeof code === 'string' && code !== '' ? code.slice(0, 128) : undefined,
    message: typeof message === 'string' ? message.slice(0, maxTextLength) : '',
    errors: Array.isArray(errors) ? errors.slice(0, maxItems).flatMap(toItem) : [],
  };
}

function toItem(value: unknown): ServerErrorItem[] {
  const {field, code, message} = Object(value) as Record<string, unknown>;
  if (typeof field !== 'string' || typeof code !== 'string') return [];
  const item = {field: field.slice(0, maxTextLength), code: code.slice(0, maxTextLength)};
  return [typeof message === 'string' ? {...item, message: message.slice(0, maxTextLength)} : item];
}

function itemLine(item: ServerErrorItem): string {
  return `    ${item.field}: ${item.code}${item.message === undefined ? '' : `: ${item.message}`}`;
}

function excerpt(body: Buffer): string {
  const text = body.toString('utf8').trim();
  return text === '' ? '' : `, ${JSON.stringify(text.slice(0, 200))}`;
}
