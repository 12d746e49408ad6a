/**
 * Makes the headers of pax archives (POSIX.1-2001), with sparse files in GNU's form 1.0. The same entry gives the
 * same bytes every time. A writer of our own, because tar-stream takes names and attributes as text only, and both
 * are bytes: a name that is not UTF-8, a capability or an access list would not survive it.
 */
import {aclText} from './posix-acl.ts';
import {blockSize} from './tar-header.ts';
import type {SparseRun} from './tar-sparse.ts';

export interface NewTarEntry {
  type: 'file' | 'directory' | 'symlink' | 'hardlink' | 'char' | 'block';
  /** Bytes; a directory's ends with a slash. */
  path: Buffer;
  linkPath?: Buffer;
  mode: number;
  uid: number;
  gid: number;
  mtimeNs: bigint;
  /** Size of a file, holes included. */
  size: number;
  /** Where a file that has holes holds data: in order, apart, inside the file. The body is then only these runs. */
  runs?: readonly SparseRun[];
  major?: number;
  minor?: number;
  xattrs: ReadonlyMap<string, Buffer>;
}

const noBytes = Buffer.alloc(0);
/** Two blocks of zeros end an archive. */
export const tarEnd = Buffer.alloc(2 * blockSize);

const typeFlags = {file: '0', hardlink: '1', symlink: '2', char: '3', block: '4', directory: '5'} as const;
const nameLength = 100;
const prefixLength = 155;
const maxId = 0o7777777;
const maxSize = 0o77777777777;
const aclKeys: Readonly<Record<string, string>> = {
  'system.posix_acl_access': 'SCHILY.acl.access',
  'system.posix_acl_default': 'SCHILY.acl.default',
};

/** Everything that comes before an entry's body. The body is filled up with zeros to whole blocks. */
export function encodeTarHeader(entry: NewTarEntry): Buffer {
  if (isPlain(entry)) return ustarHeader(entry, typeFlags[entry.type]);
  const map = entry.runs ? sparseMap(entry.runs, entry.size) : noBytes;
  const stored = entry.runs ? entry.runs.reduce((sum, run) => sum + run.length, 0) : entry.size;
  const size = map.length + stored;
  const name = entry.runs ? sparseName(entry.path) : entry.path;
  const records = Buffer.concat([...recordsOf(entry, size)]);
  const header = ustarHeader({...entry, path: name, size}, typeFlags[entry.type]);
  if (records.length === 0) return Buffer.concat([header, map]);
  const extended: UstarFields = {
    path: paxName(entry.path),
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtimeNs: 0n,
    size: records.length,
  };
  return Buffer.concat([ustarHeader(extended, 'x'), padded(records), header, map]);
}

/** Whether the old header says it all; most entries are such, and an archive has many. */
function isPlain({
  path,
  linkPath,
  size,
  uid,
  gid,
  mtimeNs,
  major = 0,
  minor = 0,
  ...entry
}: NewTarEntry): boolean {
  const isShort = path.length <= nameLength && (linkPath === undefined || linkPath.length <= nameLength);
  const isSmall = size <= maxSize && uid <= maxId && gid <= maxId && major <= maxId && minor <= maxId;
  return isShort && isSmall && !entry.runs && entry.xattrs.size === 0 && isPlainTime(mtimeNs);
}

/** Zeros that fill a body of `size` bytes up to whole blocks. */
export function tarPadding(size: number): Buffer {
  return tarEnd.subarray(0, (blockSize - (size % blockSize)) % blockSize);
}

/** What the old header cannot say. */
function* recordsOf(entry: NewTarEntry, size: number): Generator<Buffer> {
  if (entry.runs) {
    yield record('GNU.sparse.major', '1');
    yield record('GNU.sparse.minor', '0');
    yield record('GNU.sparse.name', entry.path);
    yield record('GNU.sparse.realsize', String(entry.size));
  } else if (!split(entry.path)) {
    yield record('path', entry.path);
  }
  if (entry.linkPath && entry.linkPath.length > nameLength) yield record('linkpath', entry.linkPath);
  if (size > maxSize) yield record('size', String(size));
  if (entry.uid > maxId) yield record('uid', String(entry.uid));
  if (entry.gid > maxId) yield record('gid', String(entry.gid));
  if (!isPlainTime(entry.mtimeNs)) yield record('mtime', timeText(entry.mtimeNs));
  if ((entry.major ?? 0) > maxId) yield record('SCHILY.devmajor', String(entry.major));
  if ((entry.minor ?? 0) > maxId) yield record('SCHILY.devminor', String(entry.minor));
  for (const name of [...entry.xattrs.keys()].sort()) {
    yield attributeRecord(name, entry.xattrs.get(name) ?? Buffer.alloc(0));
  }
}

/** An equals sign would end the key, so such a name takes the form that encodes it. */
function attributeRecord(name: string, value: Buffer): Buffer {
  const aclKey = aclKeys[name];
  if (aclKey !== undefined) return record(aclKey, aclText(value));
  if (!name.includes('=')) return record(`SCHILY.xattr.${name}`, value);
  return record(`LIBARCHIVE.xattr.${encodeURIComponent(name)}`, value.toString('base64').replace(/=+$/, ''));
}

/** `LENGTH KEY=VALUE\n`, where the length counts its own digits. */
function record(key: string, value: Buffer | string): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value as string), Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

interface UstarFields {
  path: Buffer;
  linkPath?: Buffer;
  mode: number;
  uid: number;
  gid: number;
  mtimeNs: bigint;
  size: number;
  major?: number;
  minor?: number;
}

/** What does not fit is 0 or cut here, and stands in a record. */
function ustarHeader(fields: UstarFields, type: string): Buffer {
  const block = Buffer.alloc(blockSize);
  const [prefix, name] = split(fields.path) ?? [noBytes, fields.path.subarray(0, nameLength)];
  name.copy(block, 0);
  prefix.copy(block, 345);
  octal(block, 100, 8, fields.mode);
  octal(block, 108, 8, fields.uid > maxId ? 0 : fields.uid);
  octal(block, 116, 8, fields.gid > maxId ? 0 : fields.gid);
  octal(block, 124, 12, fields.size > maxSize ? 0 : fields.size);
  octal(block, 136, 12, clampedSeconds(fields.mtimeNs));
  block.write(type, 156);
  fields.linkPath?.subarray(0, nameLength).copy(block, 157);
  block.write('ustar\x0000', 257);
  octal(block, 329, 8, Math.min(fields.major ?? 0, maxId));
  octal(block, 337, 8, Math.min(fields.minor ?? 0, maxId));
  block.fill(' ', 148, 156);
  let sum = 0;
  for (let index = 0; index < blockSize; index++) sum += block[index] ?? 0;
  octal(block, 148, 7, sum);
  return block;
}

function octal(block: Buffer, offset: number, length: number, value: number): void {
  let rest = value;
  for (let index = offset + length - 2; index >= offset; index--) {
    block[index] = 0x30 + (rest % 8);
    rest = Math.floor(rest / 8);
  }
  block[offset + length - 1] = 0;
}

/** The name as prefix and rest, without record where it fits: readers then need no character set. */
function split(path: Buffer): [prefix: Buffer, name: Buffer] | undefined {
  if (path.length <= nameLength) return [noBytes, path];
  if (path.length > prefixLength + 1 + nameLength) return undefined;
  const slash = path.lastIndexOf(0x2f, Math.min(prefixLength, path.length - 2));
  if (slash <= 0 || path.length - slash - 1 > nameLength) return undefined;
  return [path.subarray(0, slash), path.subarray(slash + 1)];
}

/** Names for readers that know no extended headers; only they ever see them. */
function paxName(path: Buffer): Buffer {
  return Buffer.concat([Buffer.from('./PaxHeaders/'), lastPart(path)]).subarray(0, nameLength);
}

function sparseName(path: Buffer): Buffer {
  return Buffer.concat([Buffer.from('./GNUSparseFile.0/'), lastPart(path)]).subarray(0, nameLength);
}

function lastPart(path: Buffer): Buffer {
  const end = path.at(-1) === 0x2f ? path.length - 1 : path.length;
  return path.subarray(path.lastIndexOf(0x2f, end - 1) + 1, end);
}

/** Decimal lines, filled up to whole blocks; an empty run marks the end of a file that ends with a hole. */
function sparseMap(runs: readonly SparseRun[], size: number): Buffer {
  const last = runs.at(-1);
  const marked = last && last.offset + last.length === size ? runs : [...runs, {offset: size, length: 0}];
  const lines = [marked.length, ...marked.flatMap(({offset, length}) => [offset, length])];
  return padded(Buffer.from(`${lines.join('\n')}\n`));
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, tarPadding(bytes.length)]);
}

function isPlainTime(mtimeNs: bigint): boolean {
  return mtimeNs % 1_000_000_000n === 0n && mtimeNs === BigInt(clampedSeconds(mtimeNs)) * 1_000_000_000n;
}

function clampedSeconds(mtimeNs: bigint): number {
  const seconds = Number(mtimeNs / 1_000_000_000n);
  return Math.min(Math.max(seconds, 0), maxSize);
}

function timeText(timeNs: bigint): string {
  const absolute = timeNs < 0n ? -timeNs : timeNs;
  const fraction = String(absolute % 1_000_000_000n)
    .padStart(9, '0')
    .replace(/0+$/, '');
  const text = `${absolute / 1_000_000_000n}${fraction === '' ? '' : `.${fraction}`}`;
  return timeNs < 0n ? `-${text}` : text;
}
