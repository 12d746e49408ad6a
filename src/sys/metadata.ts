/** Owner, mode, attributes and times of a new file, in the order in which none undoes another. */
import {fchmodSync, fstatSync} from 'node:fs';
import {chmodAt, chownAt, procPath, setTimesAt} from './files.ts';
import type {Losses} from './losses.ts';
import type {PathBytes} from './native.ts';
import {findXattr, listXattrs, setXattr} from './xattr.ts';

export interface Metadata {
  /** The twelve permission bits. */
  mode: number;
  uid: number;
  gid: number;
  mtimeNs: bigint;
  xattrs: ReadonlyMap<string, Buffer>;
}

export interface Place {
  dir: number;
  name: PathBytes;
  /** The open file, where there is one. */
  fd?: number;
  isSymlink?: boolean;
  /** How messages call it. */
  label: string;
}

const setIdBits = 0o6000;
const aclPrefix = 'system.posix_acl_';

/**
 * Owner first, because chown clears set-id bits and capabilities; attributes before the mode, which may forbid
 * writing; access control lists after it, which they refine; times last. What is not permitted is counted.
 */
export function setMetadata(place: Place, metadata: Metadata, losses: Losses): void {
  const {dir, name, label} = place;
  const isOwned = attempt(() => chownAt(dir, name, metadata.uid, metadata.gid), ['EPERM', 'EINVAL']);
  if (!isOwned) losses.add('owner', label);
  setXattrs(place, metadata, losses, (xattr) => !xattr.startsWith(aclPrefix));
  if (!place.isSymlink) {
    // A program must not run with the rights of whoever happens to own it here.
    const mode = isOwned ? metadata.mode : metadata.mode & ~setIdBits;
    if (mode !== metadata.mode) losses.add('setid', label);
    if (place.fd === undefined) chmodAt(dir, name, mode);
    else fchmodSync(place.fd, mode);
  }
  setXattrs(place, metadata, losses, (xattr) => xattr.startsWith(aclPrefix));
  // By descriptor where there is one: the mode may now forbid to search ".".
  const {fd} = place;
  setTimesAt(fd ?? dir, fd === undefined ? name : '', metadata.mtimeNs, metadata.mtimeNs);
}

/** Gives an open file the times and the `user.` attributes of another. */
export function copyUserAttributes(source: number, target: number): void {
  for (const name of listXattrs(source)) {
    const value = name.startsWith('user.') ? findXattr(source, name) : undefined;
    if (value) setXattr(target, name, value);
  }
  const {atimeNs, mtimeNs} = fstatSync(source, {bigint: true});
  setTimesAt(target, '', atimeNs, mtimeNs);
}

function setXattrs(
  place: Place,
  {xattrs}: Metadata,
  losses: Losses,
  choose: (name: string) => boolean,
): void {
  for (const [name, value] of xattrs) {
    if (!choose(name)) continue;
    const file = place.fd ?? procPath(place.dir, place.name);
    const isKept = attempt(
      () => setXattr(file, name, value),
      ['EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP', 'EINVAL'],
    );
    if (!isKept) losses.add('xattr', `${place.label} ${name}`);
  }
}

/** Runs a call; false if it failed with one of the codes. */
function attempt(call: () => void, codes: readonly string[]): boolean {
  try {
    call();
    return true;
  } catch (error) {
    if (codes.includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}
