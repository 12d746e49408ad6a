/** RSA keys as OpenSSH writes them: the public line of `authorized_keys`, and `OPENSSH PRIVATE KEY` files (PROTOCOL.key). */

import {createHash, createPrivateKey, createPublicKey, type KeyObject} from 'node:crypto';
import {ImgctlError} from '../errors.ts';

const magic = 'openssh-key-v1\0';

/** Fields of the SSH wire format; reading past the end is an error. */
export class SshReader {
  readonly #bytes: Buffer;
  #offset = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  uint32(): number {
    return this.bytes(4).readUInt32BE();
  }

  string(): Buffer {
    return this.bytes(this.uint32());
  }

  bytes(length: number): Buffer {
    const end = this.#offset + length;
    if (end > this.#bytes.length) throw new Error('it is cut short');
    const part = this.#bytes.subarray(this.#offset, end);
    this.#offset = end;
    return part;
  }
}

/** A string of the SSH wire format. */
export function sshString(bytes: Buffer | string): Buffer {
  const content = Buffer.from(bytes);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return Buffer.concat([length, content]);
}

/** Type of a public key in the wire format: `ssh-rsa`, `ssh-ed25519`. */
export function keyType(blob: Buffer): string {
  return new SshReader(blob).string().toString('latin1');
}

/** As `ssh-add -l` shows it. */
export function fingerprint(blob: Buffer): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}

/** The key of an RSA public key's wire format. Throws for other types and for nonsense. */
export function rsaPublicKey(blob: Buffer): KeyObject {
  const reader = new SshReader(blob);
  const type = reader.string().toString('latin1');
  if (type !== 'ssh-rsa') throw new Error(`it is of type ${type}`);
  const [e, n] = [reader.string(), reader.string()].map(base64url);
  return createPublicKey({key: {kty: 'RSA', e: e!, n: n!}, format: 'jwk'});
}

/**
 * The RSA key of a private key file, PEM or OpenSSH's. `NotSupported` for keys that image servers refuse and for keys under
 * a passphrase, which belong into an agent; the messages never have anything of the content.
 */
export function rsaPrivateKey(text: string, file: string): KeyObject {
  let key: KeyObject;
  try {
    key = text.includes('BEGIN OPENSSH PRIVATE KEY') ? opensshKey(text, file) : createPrivateKey(text);
  } catch (error) {
    if (error instanceof ImgctlError) throw error;
    if (/ENCRYPTED/.test(text)) throw underPassphrase(file);
    throw new ImgctlError('ConfigError', `key file "${file}" is not a private key`);
  }
  if (key.asymmetricKeyType === 'rsa') return key;
  throw refusedKey(`key file "${file}"`, String(key.asymmetricKeyType));
}

/** Servers know RSA signatures only (spec/imgapi.md §1.3). */
export function refusedKey(subject: string, type: string): ImgctlError {
  return new ImgctlError(
    'NotSupported',
    `${subject} is of type ${type}: image servers accept RSA keys only`,
    {
      hint: 'make one: ssh-keygen -t rsa -b 4096 -f FILE, and have its public half added on the server',
    },
  );
}

function underPassphrase(file: string): ImgctlError {
  return new ImgctlError('NotSupported', `key file "${file}" is under a passphrase`, {
    hint: `give the key to an agent, ssh-add ${file}, and configure "agent" in place of the file`,
  });
}

function opensshKey(text: string, file: string): KeyObject {
  const [, body = ''] = /-----BEGIN OPENSSH PRIVATE KEY-----([^-]*)-----END/.exec(text) ?? [];
  const bytes = Buffer.from(body, 'base64');
  if (bytes.subarray(0, magic.length).toString('latin1') !== magic) throw new Error('unknown format');
  const outer = new SshReader(bytes.subarray(magic.length));
  const cipher = outer.string().toString('latin1');
  outer.string();
  outer.string();
  if (outer.uint32() !== 1) throw new Error('not one key');
  const type = keyType(outer.string());
  if (type !== 'ssh-rsa') throw refusedKey(`key file "${file}"`, type);
  if (cipher !== 'none') throw underPassphrase(file);
  const inner = new SshReader(outer.string());
  const check = inner.uint32();
  if (inner.uint32() !== check) throw new Error('damaged');
  inner.string();
  const [n, e, d, qi, p, q] = Array.from({length: 6}, () => inner.string()) as [
    Buffer,
    Buffer,
    Buffer,
    Buffer,
    Buffer,
    Buffer,
  ];
  const [dp, dq] = [remainder(d, p), remainder(d, q)];
  const numbers = Object.entries({n, e, d, p, q, dp, dq, qi}).map(([name, value]) => [
    name,
    base64url(value),
  ]);
  return createPrivateKey({key: {kty: 'RSA', ...Object.fromEntries(numbers)}, format: 'jwk'});
}

/** `d mod (prime - 1)`, which the file does not have. */
function remainder(d: Buffer, prime: Buffer): Buffer {
  const number = (bytes: Buffer): bigint => BigInt(`0x${bytes.toString('hex')}`);
  const hex = (number(d) % (number(prime) - 1n)).toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
}

function base64url(bytes: Buffer): string {
  // Numbers of the wire format have a zero in front when their first bit is set.
  return (bytes[0] === 0 ? bytes.subarray(1) : bytes).toString('base64url');
}
