/** What docs/screens shows is what terminals show (ux.md §4, §6, §11). */
import {readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {beforeAll, expect, test} from 'vitest';
import {captureScreens, type Screens} from '../screens/scenes.ts';

const directory = path.join(import.meta.dirname, '../../docs/screens');

let screens: Screens;
beforeAll(async () => {
  screens = await captureScreens();
}, 120_000);

test.each(['import.txt', 'resize.txt', 'ctrl-z.txt', 'ascii.txt'])('%s', (name) => {
  const file = path.join(directory, name);
  if (process.env.IMGCTL_UPDATE_GOLDEN) writeFileSync(file, `${screens[name]}\n`);
  expect(`${screens[name]}\n`).toBe(readFileSync(file, 'utf8'));
});
