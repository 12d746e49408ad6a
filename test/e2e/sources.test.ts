/** The list of sources among processes and editors, through the built programs. */

import {chmodSync, readdirSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {type Outcome, World} from '../support/world.ts';

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.end());

const run = (...args: string[]): Promise<Outcome> => world.runWhile(args, async () => undefined);

test('sources added by several processes at once are all there', async () => {
  const urls = [1, 2, 3, 4].map((number) => `http://host-${number}`);
  const outcomes = await Promise.all(urls.map((url) => run('sources', '-f', '-a', url)));
  expect(outcomes.map(({status}) => status)).toEqual([0, 0, 0, 0]);
  const listed = (await run('sources')).stdout.trimEnd().split('\n');
  expect(listed.sort()).toEqual([...urls, 'https://images.smartos.org']);
});

/** Makes the editor of the next commands a script. */
function editor(script: string): void {
  const file = path.join(world.directory, 'my editor');
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  const link = path.join(world.directory, 'ed');
  writeFileSync(link, `#!/bin/sh\nexec '${file}' "$@"\n`);
  chmodSync(link, 0o755);
  world.env.EDITOR = `${link} --flag`;
  world.env.TMPDIR = world.directory;
}

test('Ctrl-C in the editor is for the editor', async () => {
  editor('kill -INT $PPID; test "$1" = --flag && echo http://new >"$2"');
  const outcome = await run('sources', '-e', '-f');
  expect([outcome.stdout, outcome.stderr, outcome.status]).toEqual([
    'Deleted "imgapi" image source "https://images.smartos.org"\nAdded "imgapi" image source "http://new"\n',
    '',
    0,
  ]);
});

test('a text that was not taken is kept, and named; others leave nothing behind', async () => {
  const left = (): string[] => readdirSync(world.directory).filter((name) => name.startsWith('imgctl-edit.'));
  editor('exit 7');
  expect((await run('sources', '-e')).stderr).toBe('Error editing image sources: 7 (ignoring)\n');
  editor('kill -TERM $$');
  expect((await run('sources', '-e')).stderr).toBe('Error editing image sources: SIGTERM (ignoring)\n');
  editor('true');
  expect((await run('sources', '-e')).stdout).toBe('Image sources unchanged\n');
  expect(left()).toEqual([]);
  editor('echo http://new imgapi blah >"$2"');
  const outcome = await run('sources', '-e');
  expect([outcome.status, left()]).toEqual([2, [expect.any(String)]]);
  expect(outcome.stderr).toContain(`your text is kept in "${world.directory}/${left()[0]}/sources"`);
  expect(outcome.stderr).toContain('error (Usage): unknown source option: blah');
});

test('an editor that is not there is reported as one that failed', async () => {
  world.env.VISUAL = 'no-such-editor';
  const outcome = await run('sources', '-e');
  expect([outcome.status, outcome.stderr]).toEqual([
    0,
    expect.stringContaining('Error editing image sources: 127 (ignoring)\n'),
  ]);
});
