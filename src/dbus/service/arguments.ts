/** Checks of the Manager's arguments, with importd's error names and texts (spec/import1-dbus.md §5-§7). */

import {type ImageClass, isImageClass} from '../../import1/image-class.ts';
import {isImageName} from '../../import1/image-name.ts';
import {isPullUrl} from '../../import1/pull-url.ts';
import {invalidArguments} from './call-errors.ts';
import type {VerifyWord} from './transfer-table.ts';

export interface TransferFlags {
  force: boolean;
  readOnly: boolean;
  keepDownload: boolean;
}

const forceBit = 1n;
const readOnlyBit = 2n;
const keepDownloadBit = 4n;
export const importFlagBits = forceBit | readOnlyBit;
export const pullFlagBits = importFlagBits | keepDownloadBit;

export function checkClass(text: string): ImageClass {
  if (isImageClass(text)) return text;
  throw invalidArguments(`Image class '${text}' not known`);
}

/** Empty means all. */
export function checkClassFilter(text: string): ImageClass | undefined {
  return text === '' ? undefined : checkClass(text);
}

export function checkFlags(flags: bigint, known: bigint): TransferFlags {
  if ((flags & ~known) !== 0n) throw invalidArguments(`Flags 0x${flags.toString(16)} invalid`);
  return {
    force: (flags & forceBit) !== 0n,
    readOnly: (flags & readOnlyBit) !== 0n,
    keepDownload: (flags & keepDownloadBit) !== 0n,
  };
}

export function checkLocalName(name: string): string {
  if (isImageName(name)) return name;
  throw invalidArguments(`Local image name ${name} is invalid`);
}

export function checkUrl(url: string): string {
  if (isPullUrl(url)) return url;
  throw invalidArguments(`URL '${url}' is invalid`);
}

const verifyWords: readonly VerifyWord[] = ['no', 'checksum', 'signature'];

/** Empty means by signature. */
export function checkVerify(word: string): VerifyWord {
  const mode = word === '' ? 'signature' : verifyWords.find((known) => known === word);
  if (mode) return mode;
  throw invalidArguments(`Unknown verification mode ${word}`);
}

/** A registry's host, a path of images, a tag and a digest, as the OCI distribution specification names them. */
const ociReference =
  /^(?:[A-Za-z0-9.-]+(?::[0-9]+)?\/)?[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*(?::\w[\w.-]{0,127})?(?:@[a-z0-9]+:[0-9a-f]{32,})?$/;

const maxReferenceLength = 512;

export function checkOciReference(reference: string): string {
  if (reference.length <= maxReferenceLength && ociReference.test(reference)) return reference;
  throw invalidArguments(`Reference '${reference}' is invalid`);
}
