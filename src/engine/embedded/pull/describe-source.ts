import {setTimesAt} from '../../../sys/files.ts';
import {setXattr} from '../../../sys/xattr.ts';

export interface SourceDescription {
  url: string;
  etag: string | undefined;
  modifiedMs: number | undefined;
}

/** Times and attributes that importd gives a downloaded file (spec/engine.md §2); a disk image takes them over. */
export function describeSource(fd: number, {url, etag, modifiedMs}: SourceDescription): void {
  if (etag !== undefined) trySetXattr(fd, 'user.source_etag', Buffer.from(etag));
  trySetXattr(fd, 'user.source_url', Buffer.from(url));
  if (modifiedMs === undefined || modifiedMs < 0) return;
  const created = Buffer.alloc(8);
  created.writeBigUInt64LE(BigInt(modifiedMs) * 1000n);
  trySetXattr(fd, 'user.crtime_usec', created);
  const modifiedNs = BigInt(modifiedMs) * 1_000_000n;
  setTimesAt(fd, '', modifiedNs, modifiedNs);
}

/** Only a description: a file system without attributes, or with little room for them, does without. */
function trySetXattr(fd: number, name: string, value: Buffer): void {
  try {
    setXattr(fd, name, value);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
}
