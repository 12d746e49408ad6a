/** The credential `import.pull`: one pull expression per line, in the clear or encrypted. */

import {type SpawnSyncReturns, spawnSync} from 'node:child_process';
import {readFileSync, statSync} from 'node:fs';
import path from 'node:path';
import {errnoOf} from '../errors.ts';
import {errnoText, type Log} from './journal.ts';

const credentialName = 'import.pull';
/** systemd's LINE_MAX; its reader wants room for the end of the line too. */
const maxLineBytes = 2047;
/** As much as systemd's reader takes. */
const maxCredentialBytes = 64 * 1024 * 1024 - 1;

export interface CredentialPlaces {
  /** `$CREDENTIALS_DIRECTORY`. */
  plainDirectory: string | undefined;
  /** `$ENCRYPTED_CREDENTIALS_DIRECTORY`. */
  encryptedDirectory: string | undefined;
}

/** The credential's bytes; undefined when there is none, or none that can be had, which the log then says. */
export function readCredential(places: CredentialPlaces, log: Log): string | undefined {
  if (places.plainDirectory) {
    try {
      return readBounded(path.join(places.plainDirectory, credentialName)).toString('latin1');
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') {
        const reason = errnoText(errnoOf(error));
        log('error', `Failed to read unencrypted credential '${credentialName}': ${reason}`);
        return undefined;
      }
    }
  }
  if (!places.encryptedDirectory) return undefined;
  return decrypt(path.join(places.encryptedDirectory, credentialName), log);
}

function readBounded(file: string): Buffer {
  if (!path.isAbsolute(file)) throw Object.assign(new Error('not absolute'), {code: 'EINVAL'});
  const {size} = statSync(file);
  if (size > maxCredentialBytes) throw Object.assign(new Error('too big'), {code: 'E2BIG'});
  return readFileSync(file);
}

/** systemd-creds knows the keys; what it says is passed on, warnings too. */
function decrypt(file: string, log: Log): string | undefined {
  try {
    if (statSync(file, {throwIfNoEntry: false}) === undefined) return undefined;
  } catch (error) {
    const reason = errnoText(errnoOf(error));
    log('error', `Failed to read or Base64-decode encrypted credential '${credentialName}': ${reason}`);
    return undefined;
  }
  const {error, status, stdout, stderr} = runSystemdCreds(file);
  if (error) {
    const reason = errnoOf(error) === 'ENOENT' ? 'systemd-creds not found' : error.message;
    log('error', `Failed to decrypt credential '${file}': ${reason}`);
    return undefined;
  }
  const said = stderr.toString('latin1').trim();
  if (said !== '') log(status === 0 ? 'warning' : 'error', said);
  if (status === 0) return stdout.toString('latin1');
  if (said === '') log('error', `Failed to decrypt credential '${file}'`);
  return undefined;
}

function runSystemdCreds(file: string): SpawnSyncReturns<Buffer> {
  return spawnSync('systemd-creds', [`--name=${credentialName}`, 'decrypt', file, '-'], {
    maxBuffer: maxCredentialBytes,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      SYSTEMD_LOG_LEVEL: 'warning',
      SYSTEMD_LOG_TARGET: 'console',
    },
  });
}

/** Stands in place of the line that is too long, and ends the list. */
export const lineTooLong = Symbol('line too long');

/**
 * The expressions of a credential: lines without outer blanks, comments left out, empty lines not. A line ends with a
 * run of different ones of CR, LF and NUL, as systemd's reader has it.
 */
export function credentialExpressions(text: string): (string | typeof lineTooLong)[] {
  const expressions: (string | typeof lineTooLong)[] = [];
  const lines = text.split(/(?:\r\n?|\n\r?)?\0|\r\n?|\n\r?/);
  if (lines.at(-1) === '') lines.pop();
  for (const line of lines) {
    if (line.length > maxLineBytes) return [...expressions, lineTooLong];
    const expression = line.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, '');
    if (!expression.startsWith('#')) expressions.push(expression);
  }
  return expressions;
}
