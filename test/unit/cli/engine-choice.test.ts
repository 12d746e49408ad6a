import {chmodSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {chooseEngine} from '../../../src/cli/engine-choice.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-choice-'));
});
afterAll(() => rmSync(directory, {recursive: true}));

const choose = (wanted?: string, root?: string, place = directory) =>
  chooseEngine({wanted, root, directory: place});

test('auto is embedded where the directory can be written or made', () => {
  expect(choose()).toBe('embedded');
  expect(choose('auto', undefined, path.join(directory, 'not/yet'))).toBe('embedded');
});

test('auto is the bus where the directory cannot be written', () => {
  expect(choose('auto', undefined, '/proc/1/none')).toBe('dbus');
  // Root may write everywhere but here; others also not where the mode says so.
  chmodSync(directory, 0o500);
  expect(choose()).toBe(process.geteuid?.() === 0 ? 'embedded' : 'dbus');
  chmodSync(directory, 0o700);
});

test('what is asked for is taken, except the bus below a root', () => {
  expect(choose('embedded', undefined, '/proc/1/none')).toBe('embedded');
  expect(choose('dbus')).toBe('dbus');
  expect(choose('auto', '/srv', '/proc/1/none')).toBe('embedded');
  expect(() => choose('dbus', '/srv')).toThrow(expect.objectContaining({code: 'Usage'}));
  expect(() => choose('systemd')).toThrow('invalid --engine "systemd"');
});
