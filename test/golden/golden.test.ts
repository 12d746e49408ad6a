/** Runs the transcripts of this folder; README.md here says how they are written. */

import {readdirSync, readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {expect, test} from 'vitest';
import {endWorld, makeWorld, replay, tidy} from '../support/transcripts.ts';

const here = import.meta.dirname;
const isUpdate = process.env.IMGCTL_UPDATE_GOLDEN === '1';

for (const name of readdirSync(here)
  .filter((entry) => entry.endsWith('.txt'))
  .sort()) {
  test(`golden: ${name}`, {timeout: 120_000}, async () => {
    const file = path.join(here, name);
    const script = readFileSync(file, 'utf8');
    const world = await makeWorld();
    try {
      const actual = tidy(replay(script, world));
      if (isUpdate) writeFileSync(file, `${actual}\n`);
      else expect(actual).toBe(tidy(script));
    } finally {
      endWorld(world);
    }
  });
}
