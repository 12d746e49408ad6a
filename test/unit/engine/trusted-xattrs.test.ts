/** The list of attributes that an unpacking child leaves to its parent, as a child that was taken over might write it. */
import {mkdirSync, mkdtempSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {setTrustedXattrs} from '../../../src/engine/embedded/trusted-xattrs.ts';
import {removeTree} from '../../../src/sys/remove-tree.ts';
import {findXattr, listXattrs} from '../../../src/sys/xattr.ts';

const isRoot = process.geteuid?.() === 0;
const value = Buffer.from('value');
let staging: string;

beforeEach(() => {
  staging = mkdtempSync(path.join(tmpdir(), 'imgctl-trusted-'));
  mkdirSync(at('tree/dir'), {recursive: true});
  writeFileSync(at('tree/dir/file'), '');
  writeFileSync(at('outside'), '');
  symlinkSync('../../outside', at('tree/dir/link'));
  symlinkSync('..', at('tree/up'));
});
afterEach(() => removeTree(staging));

const at = (name: string) => path.join(staging, name);

function set(list: unknown): string[] {
  writeFileSync(at('side.trusted'), JSON.stringify(list));
  return setTrustedXattrs(staging);
}

const line = (place: string, name = 'trusted.test') => [place, name, value.toString('base64')];

test.runIf(isRoot)('attributes are set on the top, on entries and on links themselves', () => {
  expect(set([line(''), line('dir/file'), line('dir/link')])).toEqual([]);
  for (const name of ['tree', 'tree/dir/file', 'tree/dir/link'])
    expect(findXattr(at(name), 'trusted.test')).toEqual(value);
  expect(listXattrs(at('outside'))).toEqual([]);
});

test
  .runIf(isRoot)
  .each([['..'], ['dir/..'], ['../outside'], ['dir/../../outside'], ['/etc/passwd'], ['dir//file'], ['.']])(
  'the place %s is refused',
  (place) => {
    expect(() => set([line(place)])).toThrow('listed attributes that are none');
    expect([listXattrs(staging), listXattrs(at('outside'))]).toEqual([[], []]);
  },
);

test.runIf(isRoot)('no place leads through a link', () => {
  expect(() => set([line('up/outside')])).toThrow(/ENOTDIR/);
  expect(() => set([line('up/tree/dir/file')])).toThrow(/ELOOP/);
  expect(listXattrs(at('outside'))).toEqual([]);
});

test('other namespaces, and what is no list, are refused', () => {
  for (const list of [[line('dir/file', 'security.capability')], [['dir/file', 'trusted.x']], {}, 'x', [1]])
    expect(() => set(list)).toThrow('listed attributes that are none');
});
