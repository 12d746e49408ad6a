/** What the pages for people say of the code is true: files, rooms, scripts, commands and links are there. */

import {existsSync, readdirSync, readFileSync, statSync} from 'node:fs';
import path from 'node:path';
import {describe, expect, test} from 'vitest';
import {commands} from '../../src/commands/index.ts';

const root = path.join(import.meta.dirname, '../..');
const read = (name: string): string => readFileSync(path.join(root, name), 'utf8');
const pages = [
  'README.md',
  'ARCHITECTURE.md',
  ...readdirSync(path.join(root, 'docs')).map((name) => `docs/${name}`),
].filter((name) => name.endsWith('.md'));
const parts = [...readdirSync(root), ...readdirSync(path.join(root, 'src'))];

/** Words of a page that name something in the checkout: from the top, or from `src/`. */
function mentioned(page: string): string[] {
  const words = [...page.matchAll(/`([^`\s]+)`/g)].map(([, word = '']) => word);
  return words.filter((word) => {
    const [first = '', ...rest] = word.split('/');
    return parts.includes(first) && rest.length > 0;
  });
}

/** Files that a page names without their folder. */
function named(page: string): string[] {
  return [...page.matchAll(/`([\w.-]+\.(?:ts|sh|cjs|c))`/g)].map(([, word = '']) => word);
}

const fileNames = new Set(
  ['src', 'test', 'scripts', '.'].flatMap((folder) =>
    readdirSync(path.join(root, folder), {recursive: folder !== '.', encoding: 'utf8'}).map((name) =>
      path.basename(name),
    ),
  ),
);

const isThere = (name: string): boolean =>
  [root, path.join(root, 'src')].some((place) => existsSync(path.join(place, name)));

describe.each(pages)('%s', (name) => {
  const page = read(name);

  test('names files that are there', () => {
    expect(mentioned(page).filter((word) => !/[*$<]/.test(word) && !isThere(word))).toEqual([]);
    expect(named(page).filter((word) => !fileNames.has(word))).toEqual([]);
  });

  test('links to what is there', () => {
    const targets = [...page.matchAll(/\]\(([^)#]+)[^)]*\)/g)].map(([, target = '']) => target);
    const local = targets.filter((target) => !/^[a-z]+:/.test(target));
    const place = path.dirname(path.join(root, name));
    expect(local.filter((target) => !existsSync(path.join(place, target)))).toEqual([]);
  });

  test('calls scripts and commands that there are', () => {
    const {scripts} = JSON.parse(read('package.json'));
    const called = [...page.matchAll(/\bnpm run ([\w:-]+)/g)].map(([, script = '']) => script);
    expect(called.filter((script) => !(script in scripts))).toEqual([]);
    const lines = [...page.matchAll(/^(?: {4}|\$ |\| `)(?:bin\/)?imgctl (.*)$/gm)].map(
      ([, words = '']) => words,
    );
    const verbs = lines.map((words) => words.replace(/^(?:-\S+ (?:\d+ )?)*/, '').split(' '));
    const strange = verbs.filter(
      (words) => /^[a-z-]+$/.test(words[0] ?? '') && !commands.find('imgctl', words),
    );
    expect(strange.filter(([verb]) => verb !== 'serve' && verb !== 'help')).toEqual([]);
  });
});

test('ARCHITECTURE.md tells of every room of the code, and of no other', () => {
  const src = path.join(root, 'src');
  const rooms = readdirSync(src).filter((name) => statSync(path.join(src, name)).isDirectory());
  const told = [...read('ARCHITECTURE.md').matchAll(/^\| `(\w+)\/` \|/gm)].map(([, room = '']) => room);
  expect(told.sort()).toEqual(rooms.sort());
});

test('README.md shows what it is and how to begin within one screen', () => {
  const [screen = ''] = read('README.md').split('\n## ');
  expect(screen.split('\n').length).toBeLessThanOrEqual(40);
  for (const word of ['avail', 'import', 'list', 'clone', 'create', 'publish', 'serve'])
    expect(screen).toContain(`bin/imgctl ${word}`);
});

test('the tutorial has the ten tasks', () => {
  const titles = [...read('docs/tutorial.md').matchAll(/^## (\d+)\. (.*)$/gm)].map(([, number]) =>
    Number(number),
  );
  expect(titles).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  const [, ...tasks] = read('docs/tutorial.md').split(/^## /m);
  for (const task of tasks) expect(task).toMatch(/^```\n\$ /m);
});
