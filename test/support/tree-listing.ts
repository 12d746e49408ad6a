/** A directory tree as comparable text: everything an inode has, for tests that compare two trees. */
import {createHash} from 'node:crypto';
import {lstatSync, readdirSync, readFileSync, readlinkSync} from 'node:fs';
import path from 'node:path';
import {expect} from 'vitest';
import {findXattr, listXattrs} from '../../src/sys/xattr.ts';

export interface ListingOptions {
  /** Leave owners out, which an ordinary user cannot set. */
  withoutOwners?: boolean;
  /** Leave out the time of the top, which an imported directory has from its import. */
  withoutTopTime?: boolean;
}

export function listTree(root: string, options: ListingOptions = {}): Record<string, string> {
  const listing: Record<string, string> = {};
  const linked = new Map<bigint, string>();
  // Names are bytes; latin1 keeps them apart where UTF-8 would not.
  const visit = (relative: string) => {
    const file = Buffer.concat([Buffer.from(`${root}/`), Buffer.from(relative, 'latin1')]);
    const stats = lstatSync(file, {bigint: true});
    const fields = [stats.mode.toString(8)];
    if (!options.withoutTopTime || relative !== '.') fields.push(`mtime=${stats.mtimeNs}`);
    if (!options.withoutOwners) fields.push(`${stats.uid}:${stats.gid}`);
    if (stats.isSymbolicLink()) fields.push(`-> ${readlinkSync(file)}`);
    if (stats.isCharacterDevice() || stats.isBlockDevice()) fields.push(`device=${stats.rdev}`);
    if (stats.isFile()) {
      const digest = createHash('sha256').update(readFileSync(file)).digest('hex');
      fields.push(`size=${stats.size} ${digest.slice(0, 12)}`);
    }
    if (stats.nlink > 1n && !stats.isDirectory()) {
      const first = linked.get(stats.ino) ?? relative;
      linked.set(stats.ino, first);
      fields.push(`same as ${first}`);
    }
    const xattrs = listXattrs(file);
    for (const name of xattrs.sort()) fields.push(`${name}=${findXattr(file, name)?.toString('hex')}`);
    listing[relative] = fields.join(' ');
    if (!stats.isDirectory()) return;
    for (const name of readdirSync(file, 'latin1').sort()) visit(path.join(relative, name));
  };
  visit('.');
  return listing;
}

/** Fails with the entries that differ, and only those. */
export function expectSameTree(actual: string, expected: string, options: ListingOptions = {}): void {
  const [left, right] = [listTree(actual, options), listTree(expected, options)];
  const names = new Set([...Object.keys(left), ...Object.keys(right)]);
  const differences = [...names].filter((name) => left[name] !== right[name]);
  expect(differences.map((name) => ({name, actual: left[name], expected: right[name]}))).toEqual([]);
}
