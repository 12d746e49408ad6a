/**
 * OpenPGP signatures over small files. Stricter than the gpg call of importd: a signature counts only if a key of the
 * keyring made it that is neither revoked nor expired today, with a hash that is still safe; one such is enough.
 */
import type {Key, PartialConfig, Signature, VerifyMessageResult} from 'openpgp';
import {ImgctlError} from '../errors.ts';
import {isArmored, splitArmor} from './armor.ts';
import {readKeyrings} from './keyring.ts';

export interface GoodSignature {
  /** Of the primary key, upper-case hex, as gpg prints it. */
  fingerprint: string;
  /** The key's own idea of its owner, for messages. */
  userId: string | undefined;
  /** When the signature says that it was made. */
  signedAt: Date;
}

export interface SignedText extends GoodSignature {
  /** What the signature covers, and nothing around it. */
  bytes: Buffer;
}

const maxSignedBytes = 1024 * 1024;
/** Each costs a public-key operation. */
const maxSignatures = 32;
const clearSigned = '-----BEGIN PGP SIGNED MESSAGE-----';
const inlineSigned = '-----BEGIN PGP MESSAGE-----';

/** Verifies with the keys of some keyring files; reads them, and loads the library, on first use. */
export class OpenPgpVerifier {
  readonly #files: readonly string[];
  readonly #now: () => Date;
  #keys: Promise<Key[]> | undefined;

  constructor(keyringFiles: readonly string[], now: () => Date = () => new Date()) {
    this.#files = keyringFiles;
    this.#now = now;
  }

  /** A detached signature, binary or armored, over `bytes`. Rejects with `SignatureNotTrusted`. */
  async verifyDetached(bytes: Uint8Array, signature: Uint8Array): Promise<GoodSignature> {
    const keys = await this.#trusted();
    const pgp = await import('openpgp');
    const signatures = await readSignatures(signature);
    const results: VerifyMessageResult<Uint8Array>['signatures'] = [];
    for (const one of signatures) {
      const message = await pgp.createMessage({binary: Uint8Array.from(bytes)});
      const options = {message, signature: one, verificationKeys: keys, format: 'binary', config} as const;
      // What is read as a signature may still be of a kind that the library has no name for.
      const verified = await pgp.verify({...options, date: this.#now()}).catch((error: unknown) => {
        throw notTrusted(`the signature cannot be read: ${reasonOf(error)}`, error);
      });
      results.push(...verified.signatures);
    }
    return await this.#firstGood(results, keys);
  }

  /** A text that carries its signature: clear-signed, or a signed message, armored or binary. */
  async verifyInline(bytes: Uint8Array): Promise<SignedText> {
    const keys = await this.#trusted();
    const {data, signatures} = await readInline(bytes, keys, this.#now()).catch((error: unknown) => {
      throw notTrusted(`the signed text cannot be read: ${reasonOf(error)}`, error);
    });
    return {...(await this.#firstGood(signatures, keys)), bytes: Buffer.from(data)};
  }

  async #trusted(): Promise<Key[]> {
    this.#keys ??= readKeyrings(this.#files);
    const keys = await this.#keys;
    if (keys.length > 0) return keys;
    const reason = `No trusted signature: no OpenPGP key is trusted; checked ${this.#files.join(', ')}`;
    throw new ImgctlError('SignatureNotTrusted', reason, {details: {proof: 'missing'}});
  }

  async #firstGood(results: VerifyMessageResult['signatures'], keys: readonly Key[]): Promise<GoodSignature> {
    if (results.length === 0) throw notTrusted('there is no signature');
    if (results.length > maxSignatures) throw notTrusted(`there are more than ${maxSignatures} signatures`);
    const whole = {...(await import('openpgp')).config, ...config};
    const reasons: string[] = [];
    for (const {keyID, verified, signature} of results) {
      const key = keys.find((candidate) => candidate.getKeys(keyID).length > 0);
      try {
        if (!key) throw new Error('that key is in no keyring');
        await verified;
        // The library looks at the time of signing only, which a stolen key may choose.
        await key.getSigningKey(keyID, this.#now(), undefined, whole);
        const {user} = await key.getPrimaryUser(this.#now(), undefined, whole);
        const signedAt = (await signature).packets[0]?.created ?? new Date(0);
        return {fingerprint: key.getFingerprint().toUpperCase(), userId: user.userID?.userID, signedAt};
      } catch (error) {
        reasons.push(`signature by key 0x${keyID.toHex().toUpperCase()}: ${reasonOf(error)}`);
      }
    }
    throw notTrusted(reasons.join('; '));
  }
}

/** True for bytes that `verifyInline` can be asked about. */
export function isInlineSigned(bytes: Uint8Array): boolean {
  if (bytes.length > 0 && !isArmored(bytes)) return true;
  const start = Buffer.from(bytes.subarray(0, clearSigned.length)).toString('latin1');
  return start === clearSigned || start.startsWith(inlineSigned);
}

const config: PartialConfig = {maxDecompressedMessageSize: maxSignedBytes};

async function readSignatures(bytes: Uint8Array): Promise<Signature[]> {
  const {readSignature} = await import('openpgp');
  try {
    if (!isArmored(bytes)) return [await readSignature({binarySignature: Uint8Array.from(bytes), config})];
    const blocks = splitArmor(bytes, 'SIGNATURE');
    if (blocks.length > maxSignatures) throw new Error(`more than ${maxSignatures} signatures`);
    return await Promise.all(blocks.map((armoredSignature) => readSignature({armoredSignature, config})));
  } catch (error) {
    throw notTrusted(`the signature cannot be read: ${reasonOf(error)}`, error);
  }
}

async function readInline(
  bytes: Uint8Array,
  keys: Key[],
  date: Date,
): Promise<{data: string | Uint8Array; signatures: VerifyMessageResult['signatures']}> {
  const {readCleartextMessage, readMessage, verify} = await import('openpgp');
  const common = {verificationKeys: keys, date, config} as const;
  const text = Buffer.from(bytes).toString('utf8');
  if (text.startsWith(clearSigned)) {
    const message = await readCleartextMessage({cleartextMessage: text, config});
    return await verify({message, ...common});
  }
  const message = isArmored(bytes)
    ? await readMessage({armoredMessage: text, config})
    : await readMessage({binaryMessage: Uint8Array.from(bytes), config});
  return await verify({message, ...common, format: 'binary'});
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function notTrusted(reason: string, cause?: unknown): ImgctlError {
  return new ImgctlError('SignatureNotTrusted', `No trusted signature: ${reason}`, {
    ...(cause === undefined ? {} : {cause}),
  });
}
