/** Help and the answers to mistakes (ux.md §2), rule by rule. */

import {afterAll, describe, expect, test} from 'vitest';
import {commandHelp} from '../../../src/cli/help.ts';
import {overview} from '../../../src/cli/overview.ts';
import {asUsageMistake} from '../../../src/cli/usage-mistake.ts';
import {commands} from '../../../src/commands/index.ts';
import {ImgctlError} from '../../../src/errors.ts';
import {World} from '../../support/world.ts';

const world = new World();
afterAll(() => world.end());

describe('the overview', () => {
  test('fits 80 columns and 50 lines', async () => {
    const lines = (await overview(commands, 'imgctl', 80)).split('\n');
    expect(lines.length).toBeLessThanOrEqual(50);
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
  });

  test.each(['imgctl', 'imgadm'] as const)('of %s names every command', async (program) => {
    const text = await overview(commands, program, 80);
    const verbs = commands.ids(program).map((id) => id.replace(/^server /, ''));
    expect(verbs.filter((verb) => !text.includes(verb))).toEqual([]);
  });

  test.each([[['-h']], [['--help']], [['help']]])('is printed for %j, with status 0', (args) => {
    const {status, stdout, stderr} = world.run(args);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toBe(world.run([]).stdout);
  });
});

describe('help of a command', () => {
  const sections = ['USAGE', 'GLOBAL OPTIONS', 'EXAMPLES', 'SEE ALSO'];

  test.each(commands.ids('imgctl'))('%s: all sections, two examples, lines that fit', async (id) => {
    const definition = await commands.load(id);
    for (const columns of [80, 100]) {
      const lines = commandHelp('imgctl', definition, columns).split('\n');
      const examples = new Set(definition.examples.map((example) => `  imgctl ${example}`));
      expect(lines.filter((line) => line.length > columns && !examples.has(line))).toEqual([]);
      expect(lines.filter((line) => sections.includes(line))).toEqual(sections);
    }
    expect(definition.examples.length).toBeGreaterThanOrEqual(2);
    expect((definition.description ?? '').split('\n\n').length).toBeLessThanOrEqual(2);
    expect(definition.description ?? '').not.toContain(definition.summary);
    expect(definition.examples.filter((example) => !example.startsWith(id))).toEqual([]);
  });

  test.each(commands.ids('imgctl'))('%s: more than ten options come in groups, each once', async (id) => {
    const definition = await commands.load(id);
    const help = commandHelp('imgctl', definition, 100);
    const [, own = ''] = /^OPTIONS\n([\s\S]*?)^GLOBAL/m.exec(help) ?? [];
    const shown = Object.values(definition.flags).filter(({hidden}) => !hidden);
    const titles = [...own.matchAll(/^ (\w+)$/gm)].map(([, title]) => title);
    expect(titles.length > 1).toBe(shown.length > 10);
    expect([...own.matchAll(/^ {2}(?:-\w| {4})?,? ?(?:--|$)|^ {2}-\w /gm)]).toHaveLength(shown.length);
  });

  test('is the same by "help COMMAND", -h and --help', () => {
    const [first, ...others] = [
      ['help', 'import'],
      ['import', '-h'],
      ['import', '--help'],
    ].map((args) => world.run(args));
    expect(first).toMatchObject({status: 0, stderr: ''});
    for (const other of others) expect(other).toEqual(first);
  });
});

describe('a mistake is answered on stderr in three lines, with status 2', () => {
  test.each([
    [['import'], 'usage: imgctl import [options] IMAGE', 'run: imgctl import --help'],
    [['list', '--jsn'], 'usage: imgctl list', 'did you mean "--json"; all options: imgctl list --help'],
    [['list', '--zzzzzz'], 'usage: imgctl list', 'run: imgctl list --help'],
    [['--offlin', 'list'], 'usage: imgctl [options] <command>', 'did you mean "--offline"'],
    [['list', '--offline=maybe'], 'usage: imgctl list', 'run: imgctl list --help'],
    [['pull-tar', '--nope'], 'usage: imgctl pull-tar [options] URL [NAME]', 'run: imgctl pull-tar --help'],
  ])('%j', (args, usage, hint) => {
    const {status, stdout, stderr} = world.run(args);
    expect([status, stdout]).toEqual([2, '']);
    const [, second, third, ...rest] = stderr.split('\n');
    expect(second).toContain(usage);
    expect(third).toContain(`hint: ${hint}`);
    expect(rest).toEqual(['']);
  });

  test('a mistyped command names the nearest', () => {
    const {status, stderr} = world.run(['improt']);
    expect([status, stderr]).toEqual([2, expect.stringContaining('did you mean: imgctl import')]);
  });

  test('with -j it is one small object on stderr', () => {
    const {status, stdout, stderr} = world.run(['list', '-j', '--jsn']);
    expect([status, stdout]).toEqual([2, '']);
    expect(JSON.parse(stderr).err).toMatchObject({code: 'UnknownOption', exitStatus: 2, retryable: false});
    expect(stderr.length).toBeLessThan(4000);
  });

  test('what is no mistake, or says itself what to do, is left as it is', async () => {
    const definition = await commands.load('list');
    for (const error of [
      new ImgctlError('NoSpace', 'full'),
      new ImgctlError('Usage', 'wrong', {hint: 'do this'}),
      new Error('bug'),
    ])
      expect(asUsageMistake(error, definition)).toBe(error);
  });
});

test.each([
  [['list', '--json=no'], 0, ''],
  [['list', '--json=yes'], 0, '[]\n'],
  [['--json=on', 'list'], 0, '[]\n'],
  [['--json=0', 'list'], 0, ''],
])('a switch may be given a word: %j', (args, status, stdout) => {
  expect(world.run(args)).toMatchObject({status, stdout, stderr: ''});
});

test('--version is one line, and more with -v', () => {
  expect(world.run(['--version']).stdout).toMatch(/^imgctl \d+\.\d+\.\d+\n$/);
  expect(world.run(['--version', '-v']).stdout).toMatch(
    /^imgctl \S+\nengine embedded\ncatalog schema \d+\nnode 2\d\.\d+\.\d+\n$/,
  );
});

test('schema prints the published schema of each command', () => {
  const listed = JSON.parse(world.run(['schema', '-j']).stdout) as {command: string}[];
  expect(listed.map(({command}) => command).sort()).toEqual([...commands.ids('imgctl'), 'error'].sort());
  expect(JSON.parse(world.run(['schema', 'manifest', 'check']).stdout).$id).toContain('manifest-check');
  expect(world.run(['schema', 'lst'])).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('did you mean: imgctl schema list'),
  });
});
