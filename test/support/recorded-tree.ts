/** A tree on disk as the lines of `NAME.tree.jsonl`, what the snapshot of a recorded ZFS stream held. */
import {type BigIntStats, lstatSync, readdirSync, readFileSync, readlinkSync} from 'node:fs';
import {findXattr, listXattrs} from '../../src/sys/xattr.ts';
import {sha256, sortedTree, type TreeLine} from './zfs-stream.ts';

const types: [test: (stats: BigIntStats) => boolean, name: string][] = [
  [(stats) => stats.isDirectory(), 'dir'],
  [(stats) => stats.isSymbolicLink(), 'symlink'],
  [(stats) => stats.isCharacterDevice(), 'char'],
  [(stats) => stats.isBlockDevice(), 'block'],
  [(stats) => stats.isFIFO(), 'fifo'],
  [(stats) => stats.isSocket(), 'socket'],
  [(stats) => stats.isFile(), 'file'],
];

export function storedTree(top: string): TreeLine[] {
  const lines: TreeLine[] = [];
  const firstNames = new Map<bigint, string>();
  const visit = (relative: Buffer) => {
    const file = Buffer.concat([Buffer.from(`${top}/`), relative]);
    const stats = lstatSync(file, {bigint: true});
    const line = lineOf(file, relative, stats);
    const first = firstNames.get(stats.ino);
    if (first === undefined) firstNames.set(stats.ino, textOf(relative));
    else if (!stats.isDirectory()) line.link_to = first;
    if (line.type === 'file' && first === undefined) line.sha256 = sha256(readFileSync(file));
    lines.push(line);
    if (!stats.isDirectory()) return;
    for (const name of readdirSync(file, 'buffer').sort(Buffer.compare))
      visit(relative.length === 0 ? name : Buffer.concat([relative, Buffer.from('/'), name]));
  };
  visit(Buffer.alloc(0));
  return sortedTree(lines);
}

function lineOf(file: Buffer, relative: Buffer, stats: BigIntStats): TreeLine {
  const type = types.find(([test]) => test(stats))?.[1] ?? 'nothing';
  const seconds = stats.mtimeNs / 1_000_000_000n - (stats.mtimeNs % 1_000_000_000n < 0n ? 1n : 0n);
  const line: TreeLine = {
    ...pathOf(relative),
    type,
    mode: (Number(stats.mode) & 0o7777).toString(8).padStart(4, '0'),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    mtime: [Number(seconds), Number(stats.mtimeNs - seconds * 1_000_000_000n)],
  };
  if (type !== 'dir') line.nlink = Number(stats.nlink);
  if (type === 'file') line.size = Number(stats.size);
  if (type === 'symlink') line.target = textOf(readlinkSync(file, 'buffer'));
  if (type === 'char' || type === 'block')
    line.rdev = [
      Number((stats.rdev >> 8n) & 0xfffn),
      Number(((stats.rdev >> 12n) & 0xfff00n) | (stats.rdev & 0xffn)),
    ];
  const xattrs = listXattrs(file).sort();
  if (xattrs.length > 0)
    line.xattrs = Object.fromEntries(xattrs.map((name) => [name, findXattr(file, name)?.toString('base64')]));
  return line;
}

function isText(path: Buffer): boolean {
  return path.equals(Buffer.from(path.toString()));
}

function pathOf(path: Buffer): {path: string} | {path_hex: string} {
  if (path.length === 0) return {path: '.'};
  return isText(path) ? {path: path.toString()} : {path_hex: path.toString('hex')};
}

function textOf(path: Buffer): string {
  return path.toString(isText(path) ? 'utf8' : 'latin1');
}
