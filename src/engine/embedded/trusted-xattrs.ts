/**
 * Attributes `trusted.*`, which only CAP_SYS_ADMIN may set, and the unpacking child does not have it. The child lists
 * them in a file, and its parent, where it may, sets them: names of this one namespace only, on entries of the staged
 * tree only, which the kernel finds beneath its top and without following links. Nothing else of the list is used.
 */
import {closeSync, constants, existsSync, openSync, readFileSync, statSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {errnoOf, ImgctlError} from '../../errors.ts';
import {syncFileSystem} from '../../sys/contents.ts';
import {O_PATH, openBeneath, procPath} from '../../sys/files.ts';
import {Losses} from '../../sys/losses.ts';
import {stagedSide, stagedTree, stagedTwin} from '../../sys/staging.ts';
import {setXattr} from '../../sys/xattr.ts';

const listName = stagedSide('.trusted');
const prefix = 'trusted.';
const maxListBytes = 16 * 1024 * 1024;
const maxXattrs = 10_000;
const directoryFlags = constants.O_DIRECTORY | constants.O_NOFOLLOW;
const notPermitted = [
  'EPERM',
  'EACCES',
  'ENOTSUP',
  'EOPNOTSUPP',
  'EINVAL',
  'ENODATA',
  'ENOSPC',
  'E2BIG',
  'ERANGE',
];

/** Path (latin1, from the top), name, value (base64). */
type Line = [path: string, name: string, value: string];

/** What the child collects. */
export class TrustedXattrs {
  /** By path; a later entry takes the place of an earlier one. */
  readonly #lines = new Map<string, Line[]>();
  /** The parent of an ordinary user's child may no more than the child. */
  readonly #canBeSet = process.geteuid?.() === 0;
  #count = 0;
  #bytes = 0;

  /** Then entries without attributes need not be told. */
  get isEmpty(): boolean {
    return this.#lines.size === 0;
  }

  /** Takes the attributes of this kind out of `xattrs`; what is too many stays, and is then lost. */
  takeFrom(xattrs: ReadonlyMap<string, Buffer>, place: string): ReadonlyMap<string, Buffer> {
    if (this.#lines.size > 0) this.#lines.delete(place);
    if (xattrs.size === 0) return xattrs;
    const names = [...xattrs.keys()].filter((name) => name.startsWith(prefix));
    if (names.length === 0 || !this.#canBeSet) return xattrs;
    const rest = new Map(xattrs);
    const taken: Line[] = [];
    for (const name of names) {
      const line: Line = [place, name, xattrs.get(name)?.toString('base64') ?? ''];
      this.#bytes += line.join().length;
      if (++this.#count > maxXattrs || this.#bytes > maxListBytes / 2) continue;
      taken.push(line);
      rest.delete(name);
    }
    this.#lines.set(place, taken);
    return rest;
  }

  /** Nothing is there any more, nor below it. */
  forget(path: string): void {
    for (const place of this.#lines.keys())
      if (place === path || place.startsWith(`${path}/`)) this.#lines.delete(place);
  }

  /** Writes the list into the working directory, if there is anything in it. */
  write(lifted: Buffer | undefined): void {
    const lines = [...this.#lines.values()].flat();
    const isLifted = (place: string) => lifted === undefined || place !== '';
    const cut = lifted === undefined ? 0 : lifted.length + 1;
    const placed = lines
      .filter(([place]) => isLifted(place))
      .map(([place, ...rest]) => [place.slice(cut), ...rest]);
    if (placed.length > 0) writeFileSync(listName, JSON.stringify(placed));
  }
}

/** Sets what the child listed; returns what could not be kept, a sentence. */
export function setTrustedXattrs(staging: string): string[] {
  const file = path.join(staging, listName);
  if (!existsSync(file)) return [];
  const list = readList(file);
  const trees = [stagedTree, stagedTwin].map((name) => path.join(staging, name)).filter(existsSync);
  const [losses] = trees.map((tree) => setListed(tree, list));
  return losses?.sentences() ?? [];
}

function setListed(tree: string, list: readonly Line[]): Losses {
  const losses = new Losses();
  const top = openSync(tree, constants.O_RDONLY | directoryFlags);
  try {
    for (const [place, name, value] of list) {
      if (!trySet(top, place, name, Buffer.from(value, 'base64')))
        losses.add('xattr', `${Buffer.from(place, 'latin1')} ${name}`);
    }
    syncFileSystem(top);
  } finally {
    closeSync(top);
  }
  return losses;
}

function readList(file: string): Line[] {
  const isSmall = statSync(file).size <= maxListBytes;
  const list: unknown = isSmall ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
  if (Array.isArray(list) && list.length <= maxXattrs && list.every(isLine)) return list;
  throw new ImgctlError('InternalError', 'The unpacking process listed attributes that are none');
}

function isLine(value: unknown): value is Line {
  const isText =
    Array.isArray(value) && value.length === 3 && value.every((part) => typeof part === 'string');
  return isText && String(value[1]).startsWith(prefix) && isBelow(String(value[0]));
}

/** The kernel sees to all parts but the last. */
function isBelow(place: string): boolean {
  return place === '' || place.split('/').every((part) => !['', '.', '..'].includes(part));
}

function trySet(top: number, place: string, name: string, value: Buffer): boolean {
  const slash = place.lastIndexOf('/');
  const parent = slash < 0 ? '.' : Buffer.from(place.slice(0, slash), 'latin1');
  try {
    const dir = openBeneath(top, parent, O_PATH | directoryFlags);
    try {
      const entry = Buffer.from(place.slice(slash + 1), 'latin1');
      setXattr(place === '' ? top : procPath(dir, entry), name, value);
      return true;
    } finally {
      closeSync(dir);
    }
  } catch (error) {
    if (notPermitted.includes(errnoOf(error) ?? '')) return false;
    throw error;
  }
}
