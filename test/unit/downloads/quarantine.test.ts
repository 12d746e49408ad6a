import {createHash} from 'node:crypto';
import {existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {Quarantine} from '../../../src/downloads/quarantine.ts';

let directory: string;
let place: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-quarantine-'));
  place = path.join(directory, 'quarantine');
});
afterEach(() => rmSync(directory, {recursive: true}));

async function keep(quarantine: Quarantine, text: string): Promise<string> {
  const file = path.join(directory, 'file');
  writeFileSync(file, text, {mode: 0o644});
  const sha256 = createHash('sha256').update(text).digest('hex');
  const note = {sha256, sizeBytes: text.length, subject: 's', url: 'http://u', reason: `of ${text}`};
  await quarantine.keep(file, note);
  expect(existsSync(file)).toBe(false);
  return sha256;
}

async function kept(quarantine: Quarantine): Promise<string[]> {
  return (await quarantine.list())
    .map(({reason, path: file}) => `${reason}${file ? '' : ', not kept'}`)
    .sort();
}

test('nobody but its owner may enter', async () => {
  await keep(new Quarantine({directory: place, maxBytes: 100}), 'a');
  expect(statSync(place).mode & 0o777).toBe(0o700);
});

test('the oldest go when the bound is reached, and of what alone is larger the note stays', async () => {
  const quarantine = new Quarantine({directory: place, maxBytes: 10});
  await keep(quarantine, 'aaaaaa');
  await keep(quarantine, 'bbbbbb');
  expect(await kept(quarantine)).toEqual(['of bbbbbb']);
  await keep(quarantine, 'c'.repeat(11));
  expect(await kept(quarantine)).toEqual(['of bbbbbb', 'of ccccccccccc, not kept']);
  expect(readdirSync(place)).toHaveLength(3);
});

test('a file that cannot be kept does not stay where it was', async () => {
  writeFileSync(place, 'no directory');
  await keep(new Quarantine({directory: place, maxBytes: 100}), 'a');
});

test('a beginning that fits several names none, and what is no note of ours is passed over', async () => {
  const quarantine = new Quarantine({directory: place, maxBytes: 100});
  const one = await keep(quarantine, 'a');
  expect((await quarantine.get(one.slice(0, 4))).sha256).toBe(one);
  for (const name of [`${'0'.repeat(64)}.json`, 'other'])
    writeFileSync(path.join(place, name), '{"sha256": "x"');
  mkdirSync(path.join(place, `${one.slice(0, 63)}g.json`));
  expect(await kept(quarantine)).toEqual(['of a']);
  writeFileSync(
    path.join(place, `${one.slice(0, 63)}0.json`),
    JSON.stringify({...(await quarantine.get(one)), sha256: `${one.slice(0, 63)}0`}),
  );
  await expect(quarantine.get(one.slice(0, 63))).rejects.toMatchObject({code: 'InvalidArgument'});
  for (const wrong of ['', 'abc', '../..', 'ffffffffff'])
    await expect(quarantine.get(wrong)).rejects.toMatchObject({code: 'InvalidArgument'});
});
