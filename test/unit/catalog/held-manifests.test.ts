import {expect, test} from 'vitest';
import {HeldManifests} from '../../../src/catalog/held-manifests.ts';
import {manifestFor} from '../../support/catalogs.ts';

test('manifests are held in their order, however many they are', () => {
  const manifests = Array.from({length: 5000}, (_, index) => manifestFor(`bild-\u00e4 ${index}`));
  for (const count of [0, 1, 5000]) {
    const held = new HeldManifests();
    for (let start = 0; start < count; start += 7)
      held.add(manifests.slice(start, Math.min(start + 7, count)));
    expect(held.all()).toEqual(manifests.slice(0, count));
    const counts = [...held.arrays()].map(({text, count: inText}) => [JSON.parse(text).length, inText]);
    for (const [actual, stated] of counts) expect(actual).toBe(stated);
  }
});
