/** Kills at any time: of the program, or of any process that it has started, whichever is there then. */
import {type ChildProcess, spawn} from 'node:child_process';
import {readdirSync, readFileSync} from 'node:fs';
import {setTimeout as sleep} from 'node:timers/promises';
import type {Bench} from './bench.ts';
import {settle} from './fault-series.ts';
import {type Operation, operations} from './operations.ts';
import type {Random} from './random.ts';

export interface KillsRow {
  operation: string;
  kills: number;
  /** Of those, of children. */
  ofChildren: number;
  /** Runs that were over before. */
  missed: number;
}

export interface KillsOptions {
  random: Random;
  /** No new run is begun after this instant. */
  until: number;
  only?: readonly string[] | undefined;
  onFinding(text: string): void;
}

export async function runKills(bench: Bench, options: KillsOptions): Promise<KillsRow[]> {
  const {random, until, only} = options;
  const chosen = random.shuffled(operations.filter(({name}) => !only || only.includes(name)));
  const rows = new Map<string, KillsRow>();
  const durations = new Map<string, number>();
  for (let round = 0; Date.now() < until && chosen.length > 0; round += 1) {
    const operation = chosen[round % chosen.length]!;
    const row = rows.get(operation.name) ?? {operation: operation.name, kills: 0, ofChildren: 0, missed: 0};
    rows.set(operation.name, row);
    const wholeMs = durations.get(operation.name) ?? timeOf(bench, operation);
    durations.set(operation.name, wholeMs);
    bench.begin(operation);
    const killed = await killSometime(bench, operation, {random, wholeMs});
    if (killed === undefined) row.missed += 1;
    else row.kills += 1;
    if (killed?.isChild) row.ofChildren += 1;
    for (const text of await judge(bench, operation, {repairs: random.next() < 0.34}))
      options.onFinding(`${operation.name}, ${killed?.name ?? 'nothing'} killed: ${text}`);
  }
  return [...rows.values()];
}

function timeOf(bench: Bench, operation: Operation): number {
  bench.begin(operation);
  const begin = performance.now();
  bench.world.run(operation.args(bench));
  return performance.now() - begin;
}

interface Killed {
  name: string;
  isChild: boolean;
}

async function killSometime(
  bench: Bench,
  operation: Operation,
  {random, wholeMs}: {random: Random; wholeMs: number},
): Promise<Killed | undefined> {
  const {env, directory} = bench.world;
  const child = spawn('imgctl', operation.args(bench), {env, cwd: directory, stdio: 'ignore'});
  const ended = new Promise((resolve) => child.on('close', resolve));
  if (operation.child !== undefined && random.next() < 0.5) await untilChild(child, operation.child);
  else await Promise.race([ended, sleep(random.next() * wholeMs)]);
  const killed = killOne(child, random);
  await ended;
  return killed;
}

/** A moment in the short life of the child, or the end. */
async function untilChild(program: ChildProcess, name: string): Promise<void> {
  while (program.exitCode === null && program.signalCode === null) {
    if (descendantsOf(program.pid ?? 0).some((pid) => nameOf(pid) === name)) return;
    await sleep(3);
  }
}

/** Undefined when there was nobody left. */
function killOne(child: ChildProcess, random: Random): Killed | undefined {
  if (child.pid === undefined || child.exitCode !== null) return undefined;
  const children = descendantsOf(child.pid);
  const pid = children.length > 0 && random.next() < 0.6 ? random.pick(children) : child.pid;
  const name = nameOf(pid);
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    return undefined;
  }
  return {name, isChild: pid !== child.pid};
}

function descendantsOf(pid: number): number[] {
  return readOr(`/proc/${pid}/task`, (place) => readdirSync(place)).flatMap((thread) =>
    readOr(`/proc/${pid}/task/${thread}/children`, (place) => readFileSync(place, 'latin1').split(' '))
      .filter((text) => text !== '')
      .map(Number)
      .flatMap((child) => [child, ...descendantsOf(child)]),
  );
}

function nameOf(pid: number): string {
  const [words = ''] = readOr(`/proc/${pid}/cmdline`, (place) => [readFileSync(place, 'latin1')]);
  return /(\S+-child|transfer-worker)\.js/.exec(words)?.[1] ?? words.split('\0')[0] ?? '';
}

/** A process may be gone at any time. */
function readOr(place: string, read: (place: string) => string[]): string[] {
  try {
    return read(place);
  } catch {
    return [];
  }
}

/** The next run must end well; what a repair then leaves is looked at now and then, because it costs two commands. */
async function judge(bench: Bench, operation: Operation, {repairs}: {repairs: boolean}): Promise<string[]> {
  const texts = await bench.untilQuiet();
  texts.push(...bench.check({settled: false}), ...(operation.check?.(bench) ?? []));
  const again = bench.world.run(operation.args(bench));
  if (operation.endsWell ? !operation.endsWell(again) : again.status !== 0)
    texts.push(`the next run ended with ${again.status}: ${again.stderr}`);
  if (again.stderr.includes('InternalError')) texts.push(`the next run: ${again.stderr}`);
  texts.push(...(operation.check?.(bench) ?? []), ...bench.check({settled: false}));
  if (repairs) texts.push(...settle(bench, operation));
  return texts;
}
