/**
 * Lets a child of transfers do a small one of every kind, and keeps what V8 has compiled of it by then: `child-cache.ts DIST NAME
 * SAMPLES` writes DIST/NAME.cache. Part of the build, under the options that children run with, because V8 refuses what it made
 * under others, and with descriptors 3 and 4 open. What one child makes in SAMPLES the next reads. A task that fails, because the
 * machine lacks something, compiles nearly the same.
 */
import {execFileSync} from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import {createRequire} from 'node:module';
import path from 'node:path';
import type {Script} from 'node:vm';
import type {UnpackTask} from '../src/engine/embedded/child-protocol.ts';
import type {ConvertTask} from '../src/engine/embedded/convert/convert-task.ts';
import type {ExportTask} from '../src/engine/embedded/export/export-task.ts';
import type {StreamTask} from '../src/engine/zfs-pool/stream-task.ts';
import {defaultDecompressLimits as limits} from '../src/formats/decompress.ts';
import {keepCompiled, writeCache} from './write-cache.ts';

type Load = (name: string) => {exports: {runTask(json: string): Promise<void>}; script: Script};

interface Job {
  task: UnpackTask | ExportTask | ConvertTask | StreamTask;
  /** The file that is read. */
  input: string;
  /** The file that descriptor 3 writes to. */
  output?: string;
  /** What the task leaves in its working directory, and what becomes of it. */
  moves?: [from: string, to: string];
}

const [dist = 'dist', name = '', samples = ''] = process.argv.slice(2);
const at = (file: string) => path.join(samples, file);
const [tree, disk] = [at('tree'), at('disk')];
const maxEntries = 1000;

function makeSamples(): void {
  if (existsSync(disk)) return;
  mkdirSync(path.join(tree, 'etc'), {recursive: true});
  writeFileSync(path.join(tree, 'etc/one'), 'one');
  writeFileSync(path.join(tree, 'two'), Buffer.alloc(300_000, 2));
  writeFileSync(disk, Buffer.concat([Buffer.alloc(256 * 1024, 1), Buffer.alloc(256 * 1024)]));
}

function exports(): Job[] {
  const compressions = ['uncompressed', 'gzip', 'xz', 'zstd', 'bzip2'] as const;
  return compressions.flatMap((compression) =>
    [{}, {cores: 2}].flatMap((how): Job[] => [
      {task: {compression, ...how}, input: disk, output: at(`disk.${compression}`)},
      {task: {compression, ...how, directory: tree}, input: '/dev/null', output: at(`tar.${compression}`)},
    ]),
  );
}

function conversions(): Job[] {
  return (['qcow2', 'raw', 'tar'] as const).map((to) => ({
    task: {to, limits, maxEntries},
    input: to === 'tar' ? at('tar.gzip') : disk,
    moves: ['raw', at(`converted.${to}`)],
  }));
}

function imports(): Job[] {
  return readdirSync(samples)
    .filter((file) => statSync(at(file)).isFile())
    .flatMap((file): Job[] => {
      const format = /tar/.test(file) ? 'tar' : 'raw';
      const task = {format, limits, maxEntries} as const;
      return [
        {task: {...task, digestContents: true}, input: at(file)},
        {task: {...task, isPull: true, needsTwin: true}, input: at(file)},
        {task: {...task, isPull: true, isArriving: true}, input: at(file), output: arriving(at(file))},
      ];
    });
}

/** A pipe that tells that the file is whole (arrival.ts). */
function arriving(file: string): string {
  const pipe = `${at('arrivals')}/${path.basename(file)}`;
  mkdirSync(path.dirname(pipe), {recursive: true});
  execFileSync('mkfifo', [pipe]);
  return pipe;
}

function streams(): Job[] {
  return [
    {task: {mode: 'encode', compression: 'gzip'}, input: disk, output: at('stream')},
    {task: {mode: 'decode', limits}, input: disk, output: at('stream')},
  ];
}

const jobs: Record<string, () => Job[]> = {
  'unpack-child': imports,
  'export-child': exports,
  'convert-child': conversions,
  'stream-child': streams,
};

/** What is opened takes the lowest number that is free. */
function reopen(fd: number, file: string, flags: string): void {
  try {
    closeSync(fd);
  } catch {
    // The task has closed it.
  }
  if (openSync(file, flags) !== fd) throw new Error(`Descriptor ${fd} is not the lowest that is free`);
}

const mask = process.umask();
makeSamples();
keepCompiled();
const child = (createRequire(import.meta.url)(path.join(dist, 'start.cjs')) as Load)(name);
for (const [index, {task, input, output = '/dev/null', moves}] of (jobs[name]?.() ?? []).entries()) {
  const directory = at(`work/${name}-${index}`);
  mkdirSync(directory, {recursive: true});
  process.chdir(directory);
  reopen(0, input, 'r');
  reopen(3, output, 'w+');
  if ('isArriving' in task) {
    const record = Buffer.alloc(8);
    record.writeBigInt64LE(BigInt(-1 - statSync(input).size));
    writeSync(3, record);
  }
  await child.exports.runTask(JSON.stringify(task));
  if (moves && existsSync(moves[0])) renameSync(...moves);
}
process.umask(mask);
writeCache(path.join(dist, `${name}.cache`), child.script);
process.exit(0);
