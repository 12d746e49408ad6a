/** Whether the files of a pull are what a list, a signature or the caller says (spec/engine.md §3). */
import {ImgctlError} from '../../../errors.ts';
import {lastUrlComponent} from '../../../import1/pull-url.ts';
import {type ChecksumList, parseChecksumList} from '../../../verify/checksum-list.ts';
import {type GoodSignature, isInlineSigned, type OpenPgpVerifier} from '../../../verify/openpgp.ts';
import type {Verification, VerifyMode} from '../../engine.ts';
import type {Proofs} from './proofs.ts';

type Log = (level: number, line: string) => void;

/** A downloaded file; `sha256` is of its bytes as transferred. */
export interface NamedDigest {
  url: string;
  sha256: string;
}

export interface VerifyRequest<Side extends NamedDigest> {
  mode: VerifyMode;
  proofs: Proofs;
  main: NamedDigest;
  sides: readonly Side[];
  keyring: OpenPgpVerifier;
  /** Told of a list whose signature is good; rejects when it is older than one that was seen before. */
  onSigned?(good: GoodSignature): Promise<void>;
  log: Log;
}

export interface Verified<Side> {
  verification: Verification;
  /** Those that may be used: all, but for unlisted ones. */
  sides: Side[];
}

/** In the details of errors about proofs that are not there: they say nothing against the bytes. */
const missingProof = {proof: 'missing'};

/** Whether an error says that a proof was there, and that the bytes or who vouches for them are wrong. */
export function isRefusal(error: unknown): error is ImgctlError {
  return (
    error instanceof ImgctlError &&
    ['ChecksumError', 'SignatureNotTrusted', 'SourceDowngraded'].includes(error.code) &&
    error.details?.proof !== missingProof.proof
  );
}

/** Rejects with `ChecksumError` or `SignatureNotTrusted`, having logged why in importd's words. */
export async function verifyPull<Side extends NamedDigest>(
  request: VerifyRequest<Side>,
): Promise<Verified<Side>> {
  const {mode, main, sides, log} = request;
  if (mode === 'no') return {verification: {level: 'none', sha256: main.sha256}, sides: [...sides]};
  if (typeof mode === 'object') {
    if (mode.sha256 === main.sha256)
      return {verification: {level: 'checksum', sha256: main.sha256}, sides: []};
    log(3, 'Checksum of downloaded resource does not match expected checksum, yikes.');
    throw wrongDigest(main);
  }
  const list = presentList(request);
  const inline = isInlineSigned(list);
  const signature = mode === 'signature' && !inline ? presentSignature(request) : undefined;
  // What an inline signature does not cover does not count.
  const signed = mode === 'signature' && inline ? await checkInline(request, list) : undefined;
  const used = checkDigests(request, parseChecksumList(signed?.bytes ?? list));
  const good = signed ?? (signature && (await checkDetached(request, list, signature)));
  if (good) await request.onSigned?.(good);
  if (mode === 'signature') log(6, 'Signature verification succeeded.');
  return {
    verification: {
      level: mode,
      sha256: main.sha256,
      ...(good ? {keyFingerprint: good.fingerprint} : {}),
    },
    sides: used,
  };
}

function presentList({proofs: {list}, log}: VerifyRequest<NamedDigest>): Buffer {
  if (!Buffer.isBuffer(list)) {
    log(3, 'Failed to retrieve SHA256 checksum, cannot verify. (Try --verify=no?)');
    throw new ImgctlError('ChecksumError', 'There is no SHA-256 checksum of the image beside it', {
      hint: 'use --verify=no if you trust the server and the way to it',
      details: missingProof,
    });
  }
  if (list.length > 0) return list;
  log(3, 'Checksum is empty, cannot verify.');
  throw new ImgctlError('ChecksumError', 'The checksum file of the image is empty', {details: missingProof});
}

function presentSignature({proofs: {signature}, log}: VerifyRequest<NamedDigest>): Buffer {
  if (!Buffer.isBuffer(signature)) {
    log(3, 'Failed to retrieve signature file, cannot verify. (Try --verify=no?)');
    throw new ImgctlError('SignatureNotTrusted', 'There is no signature of the checksums of the image', {
      hint: 'use --verify=checksum if you trust the server and the way to it',
      details: missingProof,
    });
  }
  if (signature.length > 0) return signature;
  log(3, 'Signature is empty, cannot verify.');
  throw new ImgctlError('SignatureNotTrusted', 'The signature of the checksums of the image is empty', {
    details: missingProof,
  });
}

/** An unlisted side file is dropped, a wrong one fails (spec/engine.md §3, "Ours"). */
function checkDigests<Side extends NamedDigest>(
  {main, sides, log}: VerifyRequest<Side>,
  list: ChecksumList,
): Side[] {
  checkDigest(main, list, log);
  return sides.filter((side) => {
    const name = lastUrlComponent(side.url);
    if (list.has(name)) {
      checkDigest(side, list, log);
      return true;
    }
    log(4, `Checksum of ${name} is not listed, proceeding without this file.`);
    return false;
  });
}

function checkDigest(file: NamedDigest, list: ChecksumList, log: Log): void {
  const name = lastUrlComponent(file.url);
  if (list.get(name)?.includes(file.sha256)) {
    log(6, `SHA256 checksum of ${file.url} is valid.`);
    return;
  }
  log(3, `DOWNLOAD INVALID: Checksum of ${name} file did not check out, file has been tampered with.`);
  throw list.has(name) ? wrongDigest(file) : notListed(name);
}

async function checkInline(
  {keyring, log}: VerifyRequest<NamedDigest>,
  list: Buffer,
): Promise<GoodSignature & {bytes: Buffer}> {
  return await loggingRefusal(keyring.verifyInline(list), log);
}

async function checkDetached(
  {keyring, log}: VerifyRequest<NamedDigest>,
  list: Buffer,
  signature: Buffer,
): Promise<GoodSignature> {
  return await loggingRefusal(keyring.verifyDetached(list, signature), log);
}

async function loggingRefusal<Good extends GoodSignature>(check: Promise<Good>, log: Log): Promise<Good> {
  try {
    const good = await check;
    log(6, `Good signature from "${good.userId ?? ''}", key ${good.fingerprint}.`);
    return good;
  } catch (error) {
    log(3, 'DOWNLOAD INVALID: Signature verification failed.');
    throw error;
  }
}

function wrongDigest({url, sha256}: NamedDigest): ImgctlError {
  return new ImgctlError(
    'ChecksumError',
    `The bytes of "${lastUrlComponent(url)}" are not the expected ones`,
    {
      details: {actualSha256: sha256},
    },
  );
}

function notListed(name: string): ImgctlError {
  return new ImgctlError('ChecksumError', `"${name}" is not in the list of checksums beside it`);
}
