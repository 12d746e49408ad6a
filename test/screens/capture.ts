/**
 * Writes docs/screens: `node test/screens/capture.ts` after a build. The screens of terminals are compared with what is
 * written there by a test; the page of `imgctl serve` is a picture for people.
 */

import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {createImageServer} from '../../src/server/image-server.ts';
import {Browser} from '../support/browser.ts';
import {captureScreens, offerImages} from './scenes.ts';

const directory = path.join(import.meta.dirname, '../../docs/screens');

async function catalogue(): Promise<Buffer> {
  const place = mkdtempSync(path.join(tmpdir(), 'imgctl-catalogue-'));
  offerImages(place);
  const server = await createImageServer({directory: place});
  const {url} = await server.listen({host: '127.0.0.1', port: 0});
  const browser = await Browser.start();
  try {
    await browser.open(url);
    return await browser.screenshot();
  } finally {
    await browser.close();
    await server.close();
    rmSync(place, {recursive: true});
  }
}

mkdirSync(directory, {recursive: true});
for (const [name, text] of Object.entries(await captureScreens()))
  writeFileSync(path.join(directory, name), `${text}\n`);
writeFileSync(path.join(directory, 'catalogue.png'), await catalogue());
