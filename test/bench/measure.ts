/** Runs one command to its end and tells what it cost, with all processes that it started. */
import {execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, readdirSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';

export interface Cost {
  wallSeconds: number;
  /** User and system time together. */
  cpuSeconds: number;
}

export interface Command {
  argv: readonly [string, ...string[]];
  env?: Readonly<Record<string, string>>;
}

/** @throws Error with what the command wrote to stderr, if it fails */
export function measure({argv, env}: Command): Cost {
  const directory = mkdtempSync(path.join(tmpdir(), 'imgctl-bench-cost-'));
  const figures = path.join(directory, 'figures');
  try {
    execFileSync('sync');
    execFileSync('python3', [path.join(import.meta.dirname, 'cost.py'), figures, ...argv], {
      env: {...process.env, ...env},
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const [wallSeconds = 0, user = 0, system = 0] = readFileSync(figures, 'utf8')
      .trim()
      .split(' ')
      .map(Number);
    return {wallSeconds, cpuSeconds: user + system};
  } finally {
    rmSync(directory, {recursive: true});
  }
}

const sampleMs = 25;

/**
 * Largest memory of all processes of the command together in bytes, shared pages counted once (PSS), seen every 25 ms.
 * Looking costs time, so this is a run of its own.
 */
export async function peakMemory({argv: [program, ...argv], env}: Command): Promise<number> {
  const child = spawn(program, argv, {
    env: {...process.env, ...env},
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
  let said = '';
  child.stderr.on('data', (bytes: Buffer) => {
    said = (said + bytes.toString()).slice(-4096);
  });
  const ended = once(child, 'close');
  let peakBytes = 0;
  const timer = setInterval(() => {
    const sum = descendants(child.pid ?? -1).reduce((total, pid) => total + memoryOf(pid), 0);
    peakBytes = Math.max(peakBytes, sum);
  }, sampleMs);
  const [status] = await ended;
  clearInterval(timer);
  if (status !== 0) throw new Error(`${program} ${argv.join(' ')}: exit status ${status}\n${said}`);
  return peakBytes;
}

function descendants(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const parent = Number(/^PPid:\s+(\d+)/m.exec(readOrNothing(`/proc/${name}/status`))?.[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const found = [root];
  for (let index = 0; index < found.length; index++) found.push(...(children.get(found[index] ?? -1) ?? []));
  return found;
}

function memoryOf(pid: number): number {
  return Number(/^Pss:\s+(\d+) kB/m.exec(readOrNothing(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0) * 1024;
}

/** A process may end while it is looked at. */
function readOrNothing(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** As `measure`, while this process goes on serving; with the largest resident memory of one process. */
export async function measureAside({argv, env}: Command): Promise<{cost: Cost; peakBytes: number}> {
  const directory = mkdtempSync(path.join(tmpdir(), 'imgctl-bench-cost-'));
  const figures = path.join(directory, 'figures');
  try {
    const child = spawn('python3', [path.join(import.meta.dirname, 'cost.py'), figures, ...argv], {
      env: {...process.env, ...env},
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const [status] = await once(child, 'close');
    if (status !== 0) throw new Error(`${argv.join(' ')}: exit status ${status}`);
    const [wallSeconds = 0, user = 0, system = 0, peakKib = 0] = readFileSync(figures, 'utf8')
      .trim()
      .split(' ')
      .map(Number);
    return {cost: {wallSeconds, cpuSeconds: user + system}, peakBytes: peakKib * 1024};
  } finally {
    rmSync(directory, {recursive: true});
  }
}
