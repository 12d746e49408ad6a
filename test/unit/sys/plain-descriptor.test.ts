import {execFileSync} from 'node:child_process';
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {plainOutput} from '../../../src/sys/plain-descriptor.ts';

const {O_WRONLY, O_RDWR, O_APPEND, O_NONBLOCK} = constants;
let directory: string;
let file: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-plain-'));
  file = path.join(directory, 'file');
  writeFileSync(file, 'before');
});
afterEach(() => rmSync(directory, {recursive: true}));

/** Writes through the plain descriptor of one that is opened so, after `first` through that itself. */
function write(flags: number, first: string): string {
  const fd = openSync(file, flags);
  writeSync(fd, first);
  const plain = plainOutput(fd);
  if (plain !== undefined) {
    writeSync(plain, '+');
    closeSync(plain);
  }
  closeSync(fd);
  return readFileSync(file, 'utf8');
}

test('a file is written on where the descriptor stands, or at its end', () => {
  expect(write(O_RDWR | O_NONBLOCK, 'abc')).toBe('abc+re');
  expect(write(O_WRONLY | O_APPEND, 'def')).toBe('abc+redef+');
});

test('a plain descriptor is left alone', () => {
  expect(write(O_WRONLY, 'x')).toBe('xefore');
});

test('a pipe that does not block is opened once more', () => {
  const pipe = path.join(directory, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const fd = openSync(pipe, O_RDWR | O_NONBLOCK);
  const plain = plainOutput(fd);
  expect(plain).toBeDefined();
  closeSync(plain ?? -1);
  closeSync(fd);
});
