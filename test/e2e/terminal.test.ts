/** What people see in a real terminal (ux.md §4, §6): explanations of empty answers, progress at several widths. */

import {mkdirSync, mkdtempSync, rmSync} from 'node:fs';
import path from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {Terminal} from '../support/terminal.ts';
import {World} from '../support/world.ts';

const world = new World();
beforeAll(async () => {
  await world.start();
  world.publish(Buffer.alloc(1024, 7), {name: 'base'});
});
afterAll(() => world.end());

function open(columns: number, words: readonly string[]): Terminal {
  const env = {...world.env, TERM: 'screen', PS1: '> '};
  return new Terminal({directory: world.directory, env, columns, command: words});
}

/** The screen once the command has ended. */
async function screenOf(columns: number, command: string): Promise<string> {
  const terminal = open(columns, ['sh', '-c', `${command}; echo "status $?"; read -r _`]);
  try {
    return await terminal.until((screen) => /status \d+$/.test(screen));
  } finally {
    terminal.close();
  }
}

test.each([
  ['imgctl list', 'no image is installed; what is offered: imgctl avail\nstatus 0'],
  ['imgctl avail os=plan9', 'no source offers an image matching os=plan9; 1 of 1 sources answered\nstatus 0'],
  ['imgadm avail os=plan9', 'status 0'],
  ['imgctl -q list', 'status 0'],
  ['imgctl list -j', '[]\nno image is installed; what is offered: imgctl avail\nstatus 0'],
])('an empty answer of "%s" is explained to people', async (command, screen) => {
  const shown = await screenOf(100, command);
  expect(shown.split('\n').sort()).toEqual(screen.split('\n').sort());
});

test('where no source is configured, avail says which one it asks, and how to add another', async () => {
  const directory = mkdtempSync(path.join(world.directory, 'fresh.'));
  mkdirSync(path.join(directory, 'root'));
  const shown = await screenOf(200, `IMGCTL_OFFLINE=1 imgctl --root ${directory}/root avail`);
  expect(shown).toContain('to add one of yours: imgctl sources -a URL');
  expect(shown).toContain('status 1');
  rmSync(directory, {recursive: true});
});

test('a pipe gets none of that', () => {
  expect(world.run(['list'])).toMatchObject({status: 0, stdout: '', stderr: ''});
  expect(world.run(['avail', 'os=plan9'])).toMatchObject({status: 0, stdout: '', stderr: ''});
});
