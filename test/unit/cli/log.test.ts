import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {formatOf, levelOf, requestIdOf} from '../../../src/cli/log.ts';
import {World} from '../../support/world.ts';

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.end());

function records(stderr: string): Record<string, unknown>[] {
  return stderr
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
}

describe('-v', () => {
  test.each([
    ['-v', 'list'],
    ['list', '-v'],
  ])('writes records from `cli init` to `cli exit`, each saying where it was made: %s %s', (...args) => {
    const {stderr, status} = world.run(args);
    const lines = records(stderr);
    expect(status).toBe(0);
    expect(lines.at(0)).toMatchObject({name: 'imgctl', level: 20, cli: true, msg: 'cli init', v: 0});
    expect(lines.at(-1)).toMatchObject({subcmd: 'list', exitStatus: 0, cli: true, msg: 'cli exit'});
    for (const line of lines)
      expect(line.src).toEqual({
        file: expect.stringContaining('/'),
        line: expect.any(Number),
        func: expect.any(String),
      });
    expect(new Set(lines.map((line) => line.req_id)).size).toBe(1);
  });

  test('has the keys of a record in the order of bunyan', () => {
    const [line] = records(world.run(['-v', 'list']).stderr);
    expect(Object.keys(line ?? {})).toEqual(
      'name req_id hostname pid level opts args cli msg time src v'.split(' '),
    );
  });

  test('puts the stack in place of the message of an error', () => {
    const {stderr, status} = world.run(['-v', 'install', '-m', 'nothing', '-f', 'nothing']);
    expect(status).toBe(2);
    expect(stderr).toMatch(
      /^imgctl install: error \(Usage\): ImgctlError: manifest path does not exist: "nothing"\n {4}at /m,
    );
  });

  test('leaves the last line of stderr to the object of -E', () => {
    const {stderr} = world.run(['-v', '-E', 'install', '-m', 'nothing', '-f', 'nothing']);
    const lines = records(stderr);
    expect(lines.at(-2)).toMatchObject({msg: 'cli exit', exitStatus: 2});
    expect(lines.at(-1)).toMatchObject({level: 50, err: {code: 'Usage'}, req_id: lines[0]?.req_id});
  });
});

test('an unknown level is passed over', () => {
  expect(levelOf({})).toBe('warn');
  expect(levelOf({IMGCTL_LOG_LEVEL: 'loud'})).toBe('warn');
  expect(levelOf({IMGCTL_LOG_LEVEL: 'toString', IMGADM_LOG_LEVEL: 'info'})).toBe('info');
  expect(levelOf({IMGCTL_LOG_LEVEL: 'trace', IMGADM_LOG_LEVEL: 'info'})).toBe('trace');
});

test('records are readable on a terminal and JSON elsewhere, and always JSON under the old name', () => {
  expect(formatOf({}, 'imgctl', true)).toBe('text');
  expect(formatOf({}, 'imgctl', false)).toBe('json');
  expect(formatOf({IMGCTL_LOG_FORMAT: 'json'}, 'imgctl', true)).toBe('json');
  expect(formatOf({IMGCTL_LOG_FORMAT: 'text'}, 'imgadm', true)).toBe('json');
});

test('the request id is that of the caller, in either spelling, or a fresh one', () => {
  expect(requestIdOf({REQ_ID: 'a', req_id: 'b'})).toBe('a');
  expect(requestIdOf({req_id: 'b'})).toBe('b');
  expect(requestIdOf({REQ_ID: ''})).toMatch(/^[0-9a-f-]{36}$/);
});
