import {
  chmodSync,
  closeSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {makeNodeAt} from '../../../src/sys/files.ts';
import {lastFacts, readSmallFile} from '../../../src/sys/small-file.ts';
import {setXattr} from '../../../src/sys/xattr.ts';

let directory: string;
let dir: number;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-small-file-'));
  dir = openSync(directory, 'r');
  writeFileSync(at('file'), 'contents');
});
afterEach(() => {
  closeSync(dir);
  rmSync(directory, {recursive: true});
});

const at = (name: string) => path.join(directory, name);
const into = Buffer.alloc(8192);
const read = (name: string, buffer = into) => readSmallFile(dir, Buffer.from(name), buffer);

test('a plain file is read with its facts', () => {
  chmodSync(at('file'), 0o4751);
  utimesSync(at('file'), 0, 1_234_567_890.25);
  expect(read('file')).toBe(8);
  expect(into.toString('utf8', 0, 8)).toBe('contents');
  const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
  expect(lastFacts()).toEqual({mode: 0o4751, uid, gid, mtimeNs: 1_234_567_890_250_000_000n});
  writeFileSync(at('empty'), '');
  expect([read('empty'), read('file', Buffer.alloc(8)), read('file', Buffer.alloc(7))]).toEqual([
    0,
    8,
    'no room',
  ]);
});

test('what is more than its contents is left to others', () => {
  writeFileSync(at('holes'), 'x');
  truncateSync(at('holes'), 8192);
  linkSync(at('file'), at('second'));
  writeFileSync(at('attribute'), 'x');
  setXattr(at('attribute'), 'user.a', Buffer.from('b'));
  mkdirSync(at('directory'));
  symlinkSync('file', at('link'));
  makeNodeAt(dir, 'fifo', {type: 'fifo', mode: 0o600});
  const names = [
    'holes',
    'second',
    'file',
    'attribute',
    'directory',
    'link',
    'fifo',
    'missing',
    '../x',
    'n'.repeat(256),
  ];
  for (const name of names) expect(read(name), name).toBe('other');
});
