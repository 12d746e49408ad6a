/** `--json=FORM` (ux.md §5), in front of the command and behind it. */
import {afterAll, describe, expect, test} from 'vitest';
import {splitGlobals} from '../../../src/cli/global-flags.ts';
import {jsonText, takeJsonForm} from '../../../src/cli/json-form.ts';
import {World} from '../../support/world.ts';

const world = new World();
afterAll(() => world.end());

test.each([
  [['--json=lines'], ['--json'], 'lines'],
  [['-H', '--json=short', 'os=linux'], ['-H', '--json', 'os=linux'], 'short'],
  [['--json=short', '--json=pretty'], ['--json', '--json'], 'pretty'],
  [['--json=off'], ['--json=off'], undefined],
  [['--json'], ['--json'], undefined],
  [['--json=x'], ['--json=x'], undefined],
  [['--', '--json=lines'], ['--', '--json=lines'], undefined],
])('%j is read as %j in form %s', (args, words, form) => {
  expect(takeJsonForm(args)).toEqual({words, form});
});

test('before the command it counts too', () => {
  expect(splitGlobals(['--json=lines', '-q', 'list'])).toMatchObject({
    globals: {json: true, quiet: true},
    jsonForm: 'lines',
    rest: ['list'],
  });
});

test.each([
  [[{a: 1}, {b: 2}], undefined, '[\n  {\n    "a": 1\n  },\n  {\n    "b": 2\n  }\n]'],
  [[{a: 1}, {b: 2}], 'pretty', '[\n  {\n    "a": 1\n  },\n  {\n    "b": 2\n  }\n]'],
  [[{a: 1}, {b: 2}], 'short', '[{"a":1},{"b":2}]'],
  [[{a: 1}, {b: 2}], 'lines', '{"a":1}\n{"b":2}'],
  [{a: [1]}, 'lines', '{"a":[1]}'],
  [[], 'lines', ''],
  [[], undefined, '[]'],
] as const)('%j as %s', (value, form, text) => {
  expect(jsonText(value, form)).toBe(text);
});

describe('the program', () => {
  test.each([
    [['list', '--json=short'], '[]\n'],
    [['--json=short', 'list'], '[]\n'],
    [['list', '--json=lines'], ''],
    [['list', '--json=off'], ''],
    [['doctor', '--json=short'], expect.stringMatching(/^\{"[^\n]+\}\n$/)],
    [['list-images', '--json=lines'], expect.stringMatching(/^\{"class":[^\n]+\}\n$/)],
    [['--json=lines', 'list-transfers'], ''],
    [['list-transfers', '--json=short'], '[]\n'],
  ])('%j', (args, stdout) => {
    expect(world.run(args)).toMatchObject({stdout, stderr: ''});
  });

  test('tells errors as JSON whatever the form', () => {
    const {stderr, stdout, status} = world.run(['get', '--json=lines', 'nosuch']);
    expect([status, stdout]).toEqual([3, '']);
    expect(JSON.parse(stderr).err.exitStatus).toBe(3);
  });

  test('refuses forms that are none, and under the old names ours', () => {
    expect(world.run(['list', '--json=yaml']).status).toBe(2);
    expect(world.run(['list', '--json=lines'], 'imgadm').status).toBe(2);
    expect(world.run(['list-images', '--json=lines'], 'importctl')).toMatchObject({
      status: 1,
      stderr: 'Unknown argument to --json= switch: lines\n',
    });
  });
});
