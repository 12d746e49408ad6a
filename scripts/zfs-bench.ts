/**
 * Measures ZFS send streams of our own making: `node scripts/zfs-bench.ts [DIRECTORY]` writes a volume of 2 GiB and a
 * file system of 100,000 files below DIRECTORY (or the folder for temporary files), imports them with the built
 * program's engine, and prints throughput and peak memory beside a plain copy of the same bytes. Memory is that of all
 * processes of a command: their proportional shares added up, looked at every 25 ms, and the largest of any one, which
 * the kernel itself notes.
 */
import {execFileSync, spawn} from 'node:child_process';
import {randomUUID} from 'node:crypto';
import {once} from 'node:events';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
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
const ticksPerSecond = 100;
const sampleMs = 25;

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
  /** What all processes had at once, shared pages counted once. */
  peakMebibytes: number;
  /** What the largest process ever had, pages that it shares with others included. */
  largestMebibytes: number;
}

/** Of a process while it runs; the counts only grow. */
interface Used {
  cpuSeconds: number;
  mostMebibytes: number;
}

/** Runs a command to its end, synced, and looks at it and all that it started. */
async function measure(command: string, args: readonly string[]): Promise<Measured> {
  const start = performance.now();
  const env = {...process.env, IMGCTL_ROOT: at('root'), IMGCTL_PROGRESS: 'none'};
  const child = spawn(command, [...args], {stdio: ['ignore', 'ignore', 'inherit'], env, cwd: directory});
  const ended = once(child, 'exit');
  const used = new Map<number, Used>();
  let peakMebibytes = 0;
  const timer = setInterval(() => {
    const now = family(child.pid ?? -1).map((pid) => look(pid, used));
    peakMebibytes = Math.max(
      peakMebibytes,
      now.reduce((sum, each) => sum + each, 0),
    );
  }, sampleMs);
  const [status] = await ended;
  clearInterval(timer);
  execFileSync('sync', ['-f', directory]);
  if (status !== 0) throw new Error(`${command} ended with ${status}`);
  const seen = [...used.values()];
  return {
    seconds: (performance.now() - start) / 1000,
    cpuSeconds: seen.reduce((sum, {cpuSeconds}) => sum + cpuSeconds, 0),
    peakMebibytes,
    largestMebibytes: Math.max(...seen.map(({mostMebibytes}) => mostMebibytes)),
  };
}

/** The process and its descendants. */
function family(top: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc').filter((each) => /^\d+$/.test(each))) {
    const parent = Number(statOf(name)?.[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const found = [top];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
}

/** The fields behind the name: state, parent, … (proc(5)). */
function statOf(pid: string | number): string[] | undefined {
  return readOrNothing(`/proc/${pid}/stat`)?.split(') ').at(-1)?.split(' ');
}

/** Notes what a process has used until now; returns its share of memory in MiB. */
function look(pid: number, used: Map<number, Used>): number {
  const fields = statOf(pid) ?? [];
  const most = Number(/^VmHWM:\s+(\d+)/m.exec(readOrNothing(`/proc/${pid}/status`) ?? '')?.[1] ?? 0);
  const share = Number(/^Pss:\s+(\d+)/m.exec(readOrNothing(`/proc/${pid}/smaps_rollup`) ?? '')?.[1] ?? 0);
  // One that has just ended has neither, and what it had is known.
  if (most > 0) {
    const cpuSeconds = (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
    used.set(pid, {cpuSeconds, mostMebibytes: most / 1024});
  }
  return share / 1024;
}

function readOrNothing(file: string): string | undefined {
  try {
    return readFileSync(file, 'latin1');
  } catch (error) {
    if (error instanceof Error && 'code' in error) return undefined; // it has just ended
    throw error;
  }
}

function print(what: string, measured: Measured, amount: string): void {
  const {seconds, cpuSeconds, peakMebibytes, largestMebibytes} = measured;
  const cpu = `${cpuSeconds.toFixed(2)} s of CPU`;
  const memory = `${peakMebibytes.toFixed(0)} MiB at once, ${largestMebibytes.toFixed(0)} MiB the largest process`;
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
    const copy = await measure('cp', ['--reflink=never', at('volume'), at('copy')]);
    rmSync(at('copy'));
    const decode = await measure(program, ['convert', '-f', '--to', 'raw', '-o', at('disk'), at('volume')]);
    rmSync(at('disk'));
    print(`copy, blocks of ${blockBytes / 1024} KiB`, copy, bytesPerSecond(size, copy));
    print(`volume, blocks of ${blockBytes / 1024} KiB`, decode, bytesPerSecond(size, decode));
  }
  const size = write(at('files'), manyFiles(fileCount, fileBytes));
  const uuid = randomUUID();
  const manifest = {v: 2, uuid, name: 'bench', version: '1', type: 'zone-dataset', os: 'smartos'};
  writeFileSync(at('manifest'), JSON.stringify(manifest));
  const tree = await measure(program, ['install', '-q', '-m', at('manifest'), '-f', at('files')]);
  execFileSync(program, ['delete', uuid], {env: {...process.env, IMGCTL_ROOT: at('root')}, stdio: 'ignore'});
  print(`tree of ${fileCount} files`, tree, `${(fileCount / tree.seconds).toFixed(0)} files/s`);
  const archive = await measure(program, ['convert', '--to', 'tar', '-o', at('tar'), at('files')]);
  print('the same to tar', archive, bytesPerSecond(size, archive));
} finally {
  rmSync(directory, {recursive: true, force: true});
}
