/**
 * Who requests to a source come from: from flags to settings, and from settings to signatures and passwords. Secrets are
 * read from files here, or stay with the ssh-agent; nothing of them is in arguments, settings, logs, messages or dumps.
 */

import {open} from 'node:fs/promises';
import path from 'node:path';
import {ImgctlError} from '../errors.ts';
import {type Authentication, basicAuthentication, signatureAuthentication} from '../imgapi/authentication.ts';
import {rsaPrivateKey} from '../imgapi/openssh-key.ts';
import {agentSigner, keySigner} from '../imgapi/signers.ts';
import type {SourceAuth} from '../sources/source.ts';
import type {Environment} from './environment.ts';

/** Larger than any key. */
const maxSecretBytes = 64 * 1024;
const othersRead = 0o044;

/** What `sources -a` and commands that write to servers are told. */
export interface AuthFlags {
  user: string | undefined;
  key: string | undefined;
  'password-file': string | undefined;
}

/** A relative file is one of the current directory now, not of every later one. */
export function parseAuth(flags: AuthFlags, cwd: string): SourceAuth | undefined {
  const {user, key, 'password-file': passwordFile} = flags;
  const secrets = [key, passwordFile].filter((value) => value !== undefined).length;
  if (user === undefined && secrets === 0) return undefined;
  if (user === undefined || secrets !== 1) {
    throw new ImgctlError('Usage', '"--user" needs one of "--key" and "--password-file", and they need it');
  }
  const absolute = (file: string): string => (file.startsWith('%d/') ? file : path.resolve(cwd, file));
  if (passwordFile !== undefined) return {user, passwordFile: absolute(passwordFile)};
  const isFile = key !== 'agent' && !key?.startsWith('SHA256:');
  return {user, key: isFile ? absolute(key ?? '') : (key ?? '')};
}

export interface AuthParts {
  env: Environment['env'];
  warn(text: string): void;
}

/** Opens the key or the password; fails before anything is sent when that cannot be. */
export async function openAuthentication(auth: SourceAuth, parts: AuthParts): Promise<Authentication> {
  const {user, key, passwordFile} = auth;
  if (passwordFile !== undefined) {
    const [password = ''] = (await readSecret(passwordFile, parts)).split(/\r?\n/);
    if (password === '') throw new ImgctlError('ConfigError', `password file "${passwordFile}" is empty`);
    return basicAuthentication(user, password);
  }
  const now = (): Date => new Date();
  if (key === undefined)
    throw new ImgctlError('ConfigError', `user "${user}" has neither a key nor a password file`);
  if (key !== 'agent' && !key.startsWith('SHA256:')) {
    return signatureAuthentication(user, keySigner(rsaPrivateKey(await readSecret(key, parts), key)), now);
  }
  const socketPath = parts.env.SSH_AUTH_SOCK;
  if (!socketPath) {
    throw new ImgctlError(
      'NotAuthorized',
      `the key of user "${user}" is with the ssh-agent, and none is running`,
      {
        hint: 'SSH_AUTH_SOCK says where it is; sudo drops it unless told to keep it',
      },
    );
  }
  return signatureAuthentication(user, agentSigner(socketPath, key === 'agent' ? undefined : key), now);
}

/** `%d/NAME` is the credential of that name, as in unit files. A file that others may read is warned about. */
async function readSecret(file: string, {env, warn}: AuthParts): Promise<string> {
  const place = file.startsWith('%d/')
    ? path.join(env.CREDENTIALS_DIRECTORY ?? '/nonexistent', file.slice(3))
    : file;
  try {
    await using handle = await open(place, 'r');
    const {mode, size} = await handle.stat();
    if (size > maxSecretBytes) throw new Error('it is too large');
    if ((mode & othersRead) !== 0) warn(`"${file}" can be read by other users: chmod 600 ${file}`);
    const {forbidCoreDumps} = await import('../sys/core-dumps.ts');
    forbidCoreDumps();
    return await handle.readFile('utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ImgctlError('ConfigError', `cannot read secret file "${file}": ${reason}`, {cause: error});
  }
}
