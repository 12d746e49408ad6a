/** What people see in a real terminal (ux.md §4, §6): explanations of empty answers, progress at several widths. */

import {spawnSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, rmSync} from 'node:fs';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {Terminal} from '../support/terminal.ts';
import {World} from '../support/world.ts';

const world = new World();
beforeAll(async () => {
  await world.start();
  world.publish(Buffer.alloc(1024, 7), {name: 'base'});
});
afterAll(() => world.end());

function open(columns: number, words: readonly string[], rows = 24): Terminal {
  const env = {...world.env, TERM: 'screen', PS1: '> '};
  return new Terminal({directory: world.directory, env, columns, rows, command: words});
}

/** The screen once the command has ended. */
async function screenOf(columns: number, command: string, rows?: number): Promise<string> {
  const terminal = open(columns, ['sh', '-c', `${command}; echo "status $?"; read -r _`], rows);
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

describe('the pager', () => {
  const lowRows = 8;
  beforeAll(() => {
    for (let count = 0; count < 9; count += 1)
      world.publish(Buffer.alloc(16, count), {name: `paged-${count}`});
  });

  const marker = (words: string): string => `IMGCTL_PAGER='sed -n "1s/.*/paged LESS=$LESS/p"' ${words}`;

  test.each([
    [marker('imgctl avail'), 'paged LESS=FRX\nstatus 0'],
    [marker('LESS=X imgctl avail'), 'paged LESS=X\nstatus 0'],
    [marker('imgctl help'), 'paged LESS=FRX\nstatus 0'],
    [marker('imgctl import --help'), 'paged LESS=FRX\nstatus 0'],
    [`PAGER='head -1' imgctl avail -H -o os`, 'linux\nstatus 0'],
    [`IMGCTL_PAGER='head -2' PAGER=false imgctl avail -H -o os`, 'linux\nlinux\nstatus 0'],
  ])('gets what is longer than the screen: %s', async (command, screen) => {
    expect(await screenOf(100, command, lowRows)).toBe(screen);
  });

  test.each([
    marker('imgctl --no-pager avail'),
    marker('imgctl avail --no-pager'),
    marker('imgctl avail -j'),
    marker('imgctl avail name=paged-1'),
    marker('imgctl avail </dev/null'),
    marker('imgctl avail | cat'),
    marker('imgadm avail'),
    'IMGCTL_PAGER= imgctl avail',
    'PAGER=cat imgctl avail',
    'IMGCTL_PAGER=/no/such/pager imgctl avail 2>/dev/null',
  ])('is not used, and the text is printed: %s', async (command) => {
    const shown = await screenOf(100, command, lowRows);
    expect(shown).not.toContain('paged LESS');
    expect(shown.split('\n').length).toBeGreaterThan(command.includes('name=') ? 1 : lowRows - 2);
  });

  test('is less, which is left with q, and Ctrl-C stays in it', async () => {
    const terminal = open(
      100,
      ['sh', '-c', 'trap : INT; imgctl avail; echo "status $?"; read -r _'],
      lowRows,
    );
    try {
      await terminal.until((screen) => screen.startsWith('UUID') && screen.endsWith(':'));
      terminal.press('C-c');
      // It throws away what was typed just before it heard of Ctrl-C.
      const isLeft = (screen: string): boolean => screen.includes('status 0');
      await terminal.until((screen) => {
        if (!isLeft(screen)) terminal.press('q');
        return isLeft(screen);
      });
    } finally {
      terminal.close();
    }
  });
});

test.each([
  ['imgctl --color=always get nosuch', true],
  ['IMGCTL_COLOR=always imgctl get nosuch', true],
  ['imgctl get nosuch', false],
  ['NO_COLOR=1 imgctl get --color=always nosuch', true],
  ['FORCE_COLOR=1 imgadm get nosuch', false],
])('in a pipe "%s" is coloured: %s', (command, isColored) => {
  const {stderr} = spawnSync('sh', ['-c', command], {env: world.env, encoding: 'utf8'});
  expect(stderr.includes('\u001b[31merror\u001b[39m')).toBe(isColored);
});

test('a pipe gets none of that', () => {
  expect(world.run(['list'])).toMatchObject({status: 0, stdout: '', stderr: ''});
  expect(world.run(['avail', 'os=plan9'])).toMatchObject({status: 0, stdout: '', stderr: ''});
});
