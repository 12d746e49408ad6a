import {randomBytes} from 'node:crypto';
import {mkdtempSync, readdirSync, readlinkSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {HeldManifests} from '../../../src/catalog/held-manifests.ts';
import type {ImageManifest} from '../../../src/manifest/manifest.ts';
import {manifestFor} from '../../support/catalogs.ts';
import {missingFor, withFileSystem} from '../../support/loop-fs.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-held-'));
});
afterEach(() => rmSync(directory, {recursive: true}));

/** Open files that lie there. */
function openHere(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(directory) ? [fd] : [];
    } catch {
      return []; // the directory that was read
    }
  });
}

test('manifests are held in their order, however many they are', () => {
  const manifests = Array.from({length: 5000}, (_, index) => manifestFor(`bild-\u00e4 ${index}`));
  for (const count of [0, 1, 5000]) {
    using held = new HeldManifests(directory);
    for (let start = 0; start < count; start += 7)
      held.add(manifests.slice(start, Math.min(start + 7, count)));
    expect(held.all()).toEqual(manifests.slice(0, count));
    const counts = [...held.arrays()].map(({text, count: inText}) => [JSON.parse(text).length, inText]);
    for (const [actual, stated] of counts) expect(actual).toBe(stated);
    expect(openHere()).toEqual([]);
  }
});

/** Nothing makes them smaller, so that they do not fit into the memory that is meant for them. */
const large: ImageManifest[] = Array.from({length: 60}, (_, index) =>
  manifestFor(`large-${index}`, {description: randomBytes(300_000).toString('base64')}),
);

test('more of them than memory should hold lie in a file without a name, as long as they are held', () => {
  {
    using held = new HeldManifests(directory);
    held.add(large);
    expect([openHere().length, readdirSync(directory)]).toEqual([1, []]);
    expect(held.all()).toEqual(large);
  }
  expect(openHere()).toEqual([]);
});

test('where no file can be made they are held all the same', () => {
  for (const place of [undefined, path.join(directory, 'missing')]) {
    using held = new HeldManifests(place);
    held.add(large);
    expect(held.all()).toEqual(large);
  }
});

test.skipIf(missingFor('tmpfs'))(
  'a disk that is full in the middle keeps what was written, and memory the rest',
  async () => {
    await withFileSystem('tmpfs', 2, async (full) => {
      using held = new HeldManifests(full);
      held.add(large);
      expect(held.all()).toEqual(large);
    });
  },
);
