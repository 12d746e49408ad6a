/**
 * Measures ZFS send streams of our own making: `node scripts/zfs-bench.ts [DIRECTORY]` writes a volume of 2 GiB and a
 * file system of 100,000 files below DIRECTORY (or the folder for temporary files), imports them with the built
 * program's engine, and prints throughput and peak memory beside a plain copy of the same bytes.
 */
import {execFileSync, spawnSync} from 'node:child_process';
import {randomUUID} from 'node:crypto';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {largeVolume, manyFiles} from '../test/support/zfs-writer.ts';

const mebibyte = 1024 * 1024;
const volumeBytes = 2048 * mebibyte;
const fileCount = 100_000;
const fileBytes = 4000;

const base = process.argv[2] ?? tmpdir();
const directory = mkdtempSync(path.join(base, 'imgctl-zfs-bench-'));
const program = path.join(import.meta.dirname, '../bin/imgctl');
const at = (name: string) => path.join(directory, name);

function write(file: string, records: Iterable<Buffer>): number {
  const fd = openSync(file, 'w');
  let parts: Buffer[] = [];
  let size = 0;
  const flush = () => {
    const bytes = Buffer.concat(parts);
    for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
    parts = [];
    size = 0;
  };
  for (const record of records) {
    parts.push(Buffer.from(record));
    size += record.length;
    if (size > 4 * mebibyte) flush();
  }
  flush();
  closeSync(fd);
  return statSync(file).size;
}

interface Measured {
  seconds: number;
  /** Of all processes. */
  cpuSeconds: number;
  peakMebibytes: number;
}

/** Runs a command to its end, synced; the peak is that of its largest process. */
function measure(command: string, args: readonly string[]): Measured {
  const report = at('time');
  const start = performance.now();
  const run = spawnSync('/usr/bin/time', ['-f', '%M %U %S', '-o', report, command, ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {...process.env, IMGCTL_ROOT: at('root'), IMGCTL_PROGRESS: 'none'},
  });
  execFileSync('sync', ['-f', directory]);
  if (run.status !== 0) throw new Error(`${command} ended with ${run.status}`);
  const seconds = (performance.now() - start) / 1000;
  const [kibibytes = 0, user = 0, system = 0] = readFileSync(report, 'utf8').trim().split(' ').map(Number);
  return {seconds, cpuSeconds: user + system, peakMebibytes: kibibytes / 1024};
}

function print(what: string, {seconds, cpuSeconds, peakMebibytes}: Measured, amount: string): void {
  const cpu = `${cpuSeconds.toFixed(2)} s of CPU`;
  const memory = `${peakMebibytes.toFixed(0)} MiB at the most`;
  console.log(
    `${what.padEnd(34)} ${seconds.toFixed(2).padStart(7)} s  ${cpu.padEnd(17)} ${amount.padEnd(14)} ${memory}`,
  );
}

function bytesPerSecond(bytes: number, {seconds}: Measured): string {
  return `${(bytes / mebibyte / seconds).toFixed(0)} MiB/s`;
}

try {
  for (const blockBytes of [8192, 131_072]) {
    const size = write(at('volume'), largeVolume(volumeBytes, blockBytes));
    const copy = measure('cp', ['--reflink=never', at('volume'), at('copy')]);
    rmSync(at('copy'));
    const decode = measure(program, ['convert', '-f', '--to', 'raw', '-o', at('disk'), at('volume')]);
    rmSync(at('disk'));
    print(`copy, blocks of ${blockBytes / 1024} KiB`, copy, bytesPerSecond(size, copy));
    print(`volume, blocks of ${blockBytes / 1024} KiB`, decode, bytesPerSecond(size, decode));
  }
  const size = write(at('files'), manyFiles(fileCount, fileBytes));
  const uuid = randomUUID();
  const manifest = {v: 2, uuid, name: 'bench', version: '1', type: 'zone-dataset', os: 'smartos'};
  writeFileSync(at('manifest'), JSON.stringify(manifest));
  const tree = measure(program, ['install', '-q', '-m', at('manifest'), '-f', at('files')]);
  execFileSync(program, ['delete', uuid], {env: {...process.env, IMGCTL_ROOT: at('root')}, stdio: 'ignore'});
  print(`tree of ${fileCount} files`, tree, `${(fileCount / tree.seconds).toFixed(0)} files/s`);
  const archive = measure(program, ['convert', '--to', 'tar', '-o', at('tar'), at('files')]);
  print('the same to tar', archive, bytesPerSecond(size, archive));
} finally {
  rmSync(directory, {recursive: true, force: true});
}
