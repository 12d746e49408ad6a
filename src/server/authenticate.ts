/**
 * Who a request comes from (spec/imgapi.md §1.3): a signature with one of the user's keys, or the user's password. The
 * texts of refusals and the order of the checks are the reference's. Without users nobody is asked.
 */
import {verify} from 'node:crypto';
import type {IncomingMessage} from 'node:http';
import {signingString} from '../imgapi/http-signature.ts';
import {isPassword} from './password-hash.ts';
import {refusals} from './refusals.ts';
import type {User, Users} from './users-file.ts';

const digestByAlgorithm: Readonly<Record<string, string>> = {'rsa-sha1': 'sha1', 'rsa-sha256': 'sha256'};
/** Schemes that the reference's parser knows, and its server refuses. */
const parsedAlgorithms = /^(?:rsa|dsa|hmac)-sha(?:1|256|512)$/;
const maxSkewMs = 300_000;

/** The user, or undefined for a request that does not say; throws 401 for one that says it wrong. */
export async function authenticate(
  request: IncomingMessage,
  {users, now}: {users: Users; now: Date},
): Promise<string | undefined> {
  const {authorization} = request.headers;
  if (authorization === undefined) return undefined;
  const hasPasswords = [...users.values()].some(({password}) => password !== undefined);
  if (hasPasswords && /^basic /i.test(authorization)) return checkPassword(authorization.slice(6), users);
  return checkSignature(request, authorization, {users, now});
}

async function checkPassword(credentials: string, users: Users): Promise<string> {
  const [, name = '', text = ''] =
    /^([^:]*):(.*)$/s.exec(Buffer.from(credentials, 'base64').toString('utf8')) ?? [];
  const user = users.get(name);
  if (user?.password === undefined || !(await isPassword(text, user.password)))
    throw refusals.unauthenticated();
  return name;
}

function checkSignature(
  request: IncomingMessage,
  authorization: string,
  {users, now}: {users: Users; now: Date},
): string {
  const {keyId, algorithm, signature, names} = parseParameters(request, authorization);
  const signed = signingString(names, {
    method: request.method ?? 'GET',
    target: request.url ?? '/',
    httpVersion: request.httpVersion,
    header: (name) => headerOf(request, name),
  });
  if ('missing' in signed) throw refusals.badSignature(`${signed.missing} was not in the request`);
  checkDate(request, names, now);
  const digest = digestByAlgorithm[algorithm];
  if (digest === undefined) {
    const reason = `"${algorithm.toUpperCase()}" is not a supported http-signature signing algorithm`;
    throw refusals.unauthorized(reason);
  }
  const user: User | undefined = users.get(keyId);
  const bytes = Buffer.from(signature, 'base64');
  if (user?.keys.some((key) => verify(digest, Buffer.from(signed.text), key, bytes))) return keyId;
  throw refusals.unauthenticated();
}

interface Parameters {
  keyId: string;
  algorithm: string;
  signature: string;
  names: readonly string[];
}

/** `Signature name="value",…`; strict about blanks, as the reference is. */
function parseParameters(request: IncomingMessage, authorization: string): Parameters {
  const [, scheme = '', rest = ''] = /^(\S+)\s*(.*)$/s.exec(authorization) ?? [];
  const values = new Map<string, string>();
  if (/[=,]/.test(rest) || scheme !== 'Signature') {
    const isList = /^[A-Za-z]+="[^"]*"(?:,[A-Za-z]+="[^"]*")*$/.test(rest);
    if (!isList) throw refusals.badSignature('bad param format');
    for (const [, name = '', value = ''] of rest.matchAll(/([A-Za-z]+)="([^"]*)"/g)) values.set(name, value);
  }
  if (scheme !== 'Signature') throw refusals.badSignature('scheme was not "Signature"');
  for (const name of ['keyId', 'algorithm', 'signature']) {
    if (!values.get(name)) throw refusals.badSignature(`${name} was not specified`);
  }
  const [keyId = '', signature = ''] = [values.get('keyId'), values.get('signature')];
  const algorithm = (values.get('algorithm') ?? '').toLowerCase();
  if (!parsedAlgorithms.test(algorithm)) throw refusals.badSignature(`${algorithm} is not supported`);
  const names = (values.get('headers') || dateHeader(request)).toLowerCase().split(' ');
  return {keyId, algorithm, signature, names};
}

/** A date that cannot be read is refused: the reference lets it pass, and a signature would hold for ever. */
function checkDate(request: IncomingMessage, names: readonly string[], now: Date): void {
  const header = dateHeader(request);
  const skewMs = Math.abs(now.getTime() - Date.parse(headerOf(request, header) ?? ''));
  if (skewMs > maxSkewMs) {
    throw refusals.badSignature(`clock skew of ${skewMs / 1000}s was greater than ${maxSkewMs / 1000}s`);
  }
  if (!names.includes(header)) throw refusals.badSignature(`${header} was not a signed header`);
  if (Number.isNaN(skewMs)) throw refusals.badSignature(`${header} is not a date`);
}

/** Browsers cannot set `Date`. */
function dateHeader(request: IncomingMessage): 'x-date' | 'date' {
  return request.headers['x-date'] === undefined ? 'date' : 'x-date';
}

function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}
