/** Commands and flags are a promise: a change to them shows up here and is decided on (style of the commit). */

import {readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {expect, test} from 'vitest';
import {commands} from '../../../src/commands/index.ts';

const file = path.join(import.meta.dirname, '../../golden/command-snapshot.json');

async function snapshot(): Promise<unknown> {
  const result: Record<string, unknown> = {};
  for (const id of commands.ids('imgctl')) {
    const {family, aliases, flags, args} = await commands.load(id);
    result[id] = {
      family,
      ...(aliases && {aliases}),
      flags: Object.fromEntries(
        Object.entries(flags).map(([name, flag]) => [
          name,
          `${flag.kind}${flag.char ? ` -${flag.char}` : ''}`,
        ]),
      ),
      args: args.map(
        (argument) => `${argument.name}${argument.optional ? '?' : ''}${argument.many ? '...' : ''}`,
      ),
    };
  }
  return result;
}

test('commands, flags and arguments are those of the snapshot', async () => {
  const actual = await snapshot();
  if (process.env.IMGCTL_UPDATE_GOLDEN === '1') writeFileSync(file, `${JSON.stringify(actual, null, 2)}\n`);
  expect(actual).toEqual(JSON.parse(readFileSync(file, 'utf8')));
});

test('every command has a published schema for its JSON', () => {
  for (const id of commands.ids('imgctl')) {
    const schema = path.join(
      import.meta.dirname,
      '../../../schemas/output',
      `${id.replaceAll(' ', '-')}.schema.json`,
    );
    expect(JSON.parse(readFileSync(schema, 'utf8')).title).not.toBe('');
  }
});
