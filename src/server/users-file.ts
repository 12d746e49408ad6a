/**
 * Who may write (spec/imgapi.md §1.3): a JSON file of users, each with the public RSA keys their requests may be signed with,
 * and perhaps a password's hash for Basic authentication. Keys of other types are passed over with a warning.
 */
import type {KeyObject} from 'node:crypto';
import {readFile} from 'node:fs/promises';
import {ImgctlError} from '../errors.ts';
import {keyType, rsaPublicKey} from '../imgapi/openssh-key.ts';
import {type PasswordHash, parsePasswordHash} from './password-hash.ts';

export interface User {
  name: string;
  keys: readonly KeyObject[];
  password: PasswordHash | undefined;
}

export type Users = ReadonlyMap<string, User>;

const maxFileBytes = 4 * 1024 * 1024;

/** Throws `ConfigError` for a file that is not there or wrong. */
export async function readUsers(file: string, warn: (text: string) => void): Promise<Users> {
  let value: unknown;
  try {
    const text = await readFile(file, 'utf8');
    if (text.length > maxFileBytes) throw new Error('it is too large');
    value = JSON.parse(text);
  } catch (error) {
    throw new ImgctlError('ConfigError', `users file "${file}" cannot be read`, {cause: error});
  }
  const wrong = (reason: string): ImgctlError =>
    new ImgctlError('ConfigError', `users file "${file}" is not valid: ${reason}`);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw wrong('it must be an object');
  const users = Object.entries(value).map(([name, entry]): [string, User] => {
    if (!/^[A-Za-z0-9_][A-Za-z0-9._@-]*$/.test(name))
      throw wrong(`user name ${JSON.stringify(name)} is not usable`);
    const {keys = [], password} = Object(entry) as {keys?: unknown; password?: unknown};
    if (!Array.isArray(keys) || !keys.every((key) => typeof key === 'string')) {
      throw wrong(`keys of user "${name}" are not a list of texts`);
    }
    const hash = password === undefined ? undefined : parsePasswordHash(password);
    if (password !== undefined && hash === undefined)
      throw wrong(`password of user "${name}" is not an scrypt hash`);
    return [name, {name, keys: keys.flatMap((line) => usableKey(name, line, warn)), password: hash}];
  });
  return new Map(users);
}

/** A line as `authorized_keys` has it, without options. */
function usableKey(user: string, line: string, warn: (text: string) => void): KeyObject[] {
  const [, type, body = ''] = /^\s*(\S+)\s+([A-Za-z0-9+/=]+)/.exec(line) ?? [];
  try {
    const blob = Buffer.from(body, 'base64');
    if (keyType(blob) !== type) throw new Error('it is damaged');
    return [rsaPublicKey(blob)];
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    warn(`a key of user "${user}" is not used: ${reason}`);
    return [];
  }
}
