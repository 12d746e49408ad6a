import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import type {CommandDefinition} from '../../../src/cli/command.ts';
import {flagTable, parseFast} from '../../../src/cli/fast-path.ts';
import {parseWithOclif} from '../../../src/cli/oclif-adapter.ts';
import {commands} from '../../../src/commands/index.ts';

const ids = commands.ids('imgctl');
const definitions = await Promise.all(ids.map((id) => commands.load(id)));

const value = fc.constantFrom(
  'x',
  'name=y',
  '-1',
  '-name',
  '--json',
  '',
  'a b',
  'auto',
  'none',
  'é',
  '=',
  '-',
  '--',
  '0',
);

/** Words that look like arguments of the command, and some that do not. */
function wordsFor(definition: CommandDefinition): fc.Arbitrary<string[]> {
  const flags = Object.entries(flagTable(definition)).map(([name, flag]) => {
    const long = `--${name}`;
    const short = flag.char ? `-${flag.char}` : long;
    return fc.oneof(
      fc.constantFrom([long], [short]),
      value.map((text) => [long, text]),
      value.map((text) => [short, text]),
      value.map((text) => [`${long}=${text}`]),
      value.map((text) => [`${short}${text}`]),
      value.map((text) => [`${short}=${text}`]),
      fc.constant([`--no-${name}`]),
      fc.constant([long.slice(0, -1)]),
    );
  });
  const letters = Object.values(flagTable(definition)).flatMap((flag) => (flag.char ? [flag.char] : []));
  const bundle = fc.array(fc.constantFrom(...letters), {minLength: 1, maxLength: 3});
  const part = fc.oneof(
    {weight: 4, arbitrary: fc.oneof(...flags)},
    {weight: 3, arbitrary: value.map((text) => [text])},
    {weight: 1, arbitrary: bundle.map((some) => [`-${some.join('')}`])},
  );
  const some = fc.array(part, {maxLength: 4}).map((parts) => parts.flat());
  // Chance alone would seldom give a command as many arguments as it needs.
  const needed = definition.args.map(() => 'x');
  return fc.tuple(some, fc.boolean()).map(([words, isFilled]) => (isFilled ? [...words, ...needed] : words));
}

describe('what the fast path takes, oclif reads alike:', () => {
  test.each(definitions.map((definition) => [definition.id, definition] as const))(
    '%s',
    async (_id, definition) => {
      let taken = 0;
      await fc.assert(
        fc.asyncProperty(wordsFor(definition), async (words) => {
          const quick = parseFast(definition, words, 'imgctl');
          if (!quick || quick.flags.help) return;
          taken += 1;
          expect(quick).toEqual(await parseWithOclif(definition, words, 'imgctl'));
        }),
        {numRuns: 150},
      );
      expect(taken).toBeGreaterThan(0);
    },
  );
});

describe('both parsers', () => {
  const list = definitions.find((definition) => definition.id === 'list')!;

  test.each([
    [['-Ho', 'uuid,name', 'os=linux'], {'no-header': true, columns: 'uuid,name'}, ['os=linux']],
    [['-o', 'a', '-o', 'b'], {columns: 'b'}, []],
    [['--columns=a=b'], {columns: 'a=b'}, []],
    [['--', '-H'], {'no-header': false}, ['-H']],
    [['a=1', 'b=2', 'a=1'], {}, ['a=1', 'b=2', 'a=1']],
  ])('read %j', async (words, flags, args) => {
    const quick = parseFast(list, words, 'imgctl');
    const slow = await parseWithOclif(list, words, 'imgctl');
    expect(slow).toMatchObject({flags, args});
    if (quick) expect(quick).toEqual(slow);
  });

  test.each([
    [['--nope'], 'UnknownOption', 'unknown option: "--nope"'],
    [['--nope', '--other'], 'UnknownOption', 'unknown option: "--nope"'],
    [['--a,b'], 'UnknownOption', 'unknown option: "--a,b"'],
    [['-o'], 'Option', 'do not have enough args for "-o" option'],
    [['--progress', 'x'], 'Usage', expect.stringContaining('invalid --progress "x": must be one of')],
  ])('refuse %j by the words of one of them', async (words, code, message) => {
    expect(parseFast(list, words, 'imgctl')).toBeUndefined();
    await expect(parseWithOclif(list, words, 'imgctl')).rejects.toMatchObject({code, message});
  });

  test.each(definitions.map((definition) => [definition.id, definition] as const))(
    '%s: no letter stands for two flags',
    (_id, definition) => {
      const letters = Object.values(flagTable(definition)).flatMap((flag) => (flag.char ? [flag.char] : []));
      expect(new Set(letters).size).toBe(letters.length);
    },
  );
});
