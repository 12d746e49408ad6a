/**
 * The rows of the bench with one processor, two, four …, and the cost of one import against its size. Inside `inside.sh`:
 * `node scaling.ts DATA SCRATCH [--rounds N] [--only REGEX] [--json FILE] [--sizes LIST]`.
 */
import {execFileSync} from 'node:child_process';
import {rmSync, writeFileSync} from 'node:fs';
import {availableParallelism} from 'node:os';
import path from 'node:path';
import {parseArgs} from 'node:util';
import {startFileServer} from './file-server.ts';
import {type Command, measure, peakMemory} from './measure.ts';
import {median} from './median.ts';
import {makeRows, type Places, type Row} from './rows.ts';
import {type ScalingResult, scalingPage} from './scaling-page.ts';
import {makeTarget, readIntoMemory, type Target} from './target.ts';

const {values, positionals} = parseArgs({
  allowPositionals: true,
  options: {
    rounds: {type: 'string', default: '3'},
    only: {type: 'string', default: '.'},
    json: {type: 'string'},
    sizes: {type: 'string', default: '64,256,1024,4096,8192'},
  },
});
const [data, scratch] = positionals;
if (!data || !scratch) throw new Error('usage: inside.sh SCRATCH DATA node scaling.ts DATA SCRATCH');
const repository = path.join(import.meta.dirname, '../..');
const port = 8080;
const places: Places = {
  data,
  tree: () => '/',
  imgctl: path.join(repository, 'bin/imgctl'),
  url: `http://127.0.0.1:${port}`,
};

function onTarget<T>(
  row: Pick<Row, 'input' | 'prepare' | 'check'>,
  command: (target: Target) => Command,
  run: (command: Command) => T,
): T {
  const target = makeTarget(scratch ?? '');
  try {
    row.prepare?.(target);
    target.sync();
    if (row.input) readIntoMemory(row.input);
    const outcome = run(command(target));
    row.check(target, 'imgctl');
    return outcome;
  } finally {
    target.remove();
  }
}

function secondsOf(row: Row, cores: number): number {
  const command = (target: Target): Command => {
    const {argv = ['false'] as const, ...rest} = row.commands.imgctl?.(target) ?? {};
    return {...rest, argv: ['taskset', '-c', `0-${cores - 1}`, ...argv]};
  };
  const walls = Array.from(
    {length: Number(values.rounds)},
    () => onTarget(row, command, measure).wallSeconds,
  );
  return median(walls);
}

/** Repeats the first half gibibyte of the disk and as many zeros. */
async function costOfSize(sizeMib: number): Promise<ScalingResult['sizes'][number]> {
  const disk = path.join(scratch ?? '', 'sized.raw');
  const packed = `${disk}.zst`;
  execFileSync('bash', [
    '-c',
    'set -e; left=$1; while [ "$left" -gt 0 ]; do part=$((left / 2 < 512 ? (left / 2) : 512)); dd if="$2" bs=1M count="$part" status=none; dd if=/dev/zero bs=1M count="$part" status=none; left=$((left - 2 * part)); done >"$3"; zstd -q -1 -T0 -f "$3" -o "$4"',
    ...['bash', String(sizeMib), path.join(places.data, 'disk.raw'), disk, packed],
  ]);
  const row = {
    input: packed,
    check({machines}: Target): void {
      execFileSync('cmp', [disk, path.join(machines, 'o.raw')]);
    },
  };
  const command = ({directory}: Target): Command => ({
    argv: [places.imgctl, '--root', directory, 'import-raw', '-m', '-q', packed, 'o'],
  });
  try {
    const walls = Array.from(
      {length: Number(values.rounds)},
      () => onTarget(row, command, measure).wallSeconds,
    );
    const target = makeTarget(scratch ?? '');
    try {
      return {sizeMib, wallSeconds: median(walls), peakBytes: await peakMemory(command(target))};
    } finally {
      target.remove();
    }
  } finally {
    for (const file of [disk, packed]) rmSync(file, {force: true});
  }
}

const stopServer = await startFileServer(data, port);
try {
  const counts = [1, 2, 4, 8, 16].filter((count) => count <= availableParallelism());
  const wanted = new RegExp(values.only);
  const cores: ScalingResult['cores'] = [];
  for (const row of makeRows(places).filter(({name}) => wanted.test(name))) {
    try {
      const seconds = counts.map((count) => ({cores: count, wallSeconds: secondsOf(row, count)}));
      cores.push({name: row.name, seconds});
      process.stderr.write(
        `${row.name} ${seconds.map(({wallSeconds}) => wallSeconds.toFixed(2)).join(' ')}\n`,
      );
    } catch (error) {
      process.stderr.write(`${row.name}: ${error instanceof Error ? error.message : String(error)}\n`);
      process.exitCode = 1;
    }
  }
  const sizes: ScalingResult['sizes'] = [];
  for (const size of values.sizes.split(',').map(Number)) if (size > 0) sizes.push(await costOfSize(size));
  const result: ScalingResult = {cores, sizes};
  process.stdout.write(`${scalingPage(result)}\n\n`);
  if (values.json) writeFileSync(values.json, JSON.stringify(result));
} finally {
  stopServer();
}
