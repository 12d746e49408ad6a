/**
 * Commands that only read, launcher included, in units of an empty Node start: with 20 images and with 10,000, both
 * installed and offered. `node start-up.ts [--rounds N] [--only REGEX] [--json FILE]`.
 */
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {parseArgs} from 'node:util';
import {measureStarts, type StartRow, startsTable} from './starts.ts';
import {makeWorld, manifestNumber} from './worlds.ts';

const {values} = parseArgs({
  options: {
    rounds: {type: 'string', default: '25'},
    only: {type: 'string', default: '.'},
    json: {type: 'string'},
  },
});
const program = path.join(import.meta.dirname, '../../bin/imgctl');
const directory = mkdtempSync(path.join(tmpdir(), 'imgctl-bench-'));

function rowsFor(root: string, count: number, goal: number): StartRow[] {
  const env = {IMGCTL_ROOT: root, HOME: directory};
  const {uuid} = manifestNumber(0);
  const lines = (expected: number) => (stdout: string) => {
    const found = stdout.split('\n').length - 1;
    if (found !== expected) throw new Error(`${found} lines where ${expected} were expected`);
  };
  const row = (words: readonly string[], check?: (stdout: string) => void): StartRow => {
    const name = `imgctl ${words.map((word) => (word === uuid ? 'UUID' : word)).join(' ')}: ${count} images`;
    return {name, goal, argv: [program, ...words], env, ...(check && {check})};
  };
  const all = [
    row(['list'], lines(count + 1)),
    row(['--offline', 'avail'], lines(count + 1)),
    row(['--offline', 'avail', 'os=linux', 'name=image-0', '-s', '-published_at'], lines(5)),
    row(['get', uuid]),
  ];
  return count > 1000 ? all : [row(['--version']), row(['sources']), ...all];
}

try {
  const rows: StartRow[] = [];
  for (const [count, goal] of [
    [20, 1.5],
    [10_000, 3],
  ] as const) {
    const root = path.join(directory, String(count));
    mkdirSync(root);
    await makeWorld(root, count);
    rows.push(...rowsFor(root, count, goal));
  }
  const chosen = rows.filter(({name}) => new RegExp(values.only).test(`start-up: ${name}`));
  const results = measureStarts(chosen, Number(values.rounds), directory);
  process.stdout.write(`${startsTable(results)}\n\n`);
  if (values.json) writeFileSync(values.json, JSON.stringify(results));
} finally {
  rmSync(directory, {recursive: true});
}
