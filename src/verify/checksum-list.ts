/**
 * Lists of SHA-256 digests as sha256sum writes them: SHA256SUMS, FILE.sha256. More tolerant than importd
 * (spec/engine.md §3, "Ours"): CRLF, a missing last newline, upper-case digits and `./` before a name are fine.
 */
import {ImgctlError} from '../errors.ts';

/** importd takes no more of any file but the image itself (spec/engine.md §2). */
export const maxChecksumListBytes = 1024 * 1024;

const entryPattern = /^([0-9a-fA-F]{64})(?: \*| {1,2}|\t)(.+)$/;

/** Digests of a name, lower-case; a name may stand in a list more than once. Lines of another form are passed over. */
export type ChecksumList = ReadonlyMap<string, readonly string[]>;

export function parseChecksumList(bytes: Uint8Array): ChecksumList {
  if (bytes.length > maxChecksumListBytes) {
    throw new ImgctlError('LimitExceeded', `A checksum list has more than ${maxChecksumListBytes} bytes`);
  }
  const list = new Map<string, string[]>();
  for (const line of Buffer.from(bytes).toString().split('\n')) {
    const [, digest, listed] = entryPattern.exec(line.endsWith('\r') ? line.slice(0, -1) : line) ?? [];
    if (digest === undefined || listed === undefined) continue;
    const name = listed.replace(/^(\.\/+)+/, '');
    const digests = list.get(name);
    if (digests) digests.push(digest.toLowerCase());
    else list.set(name, [digest.toLowerCase()]);
  }
  return list;
}
