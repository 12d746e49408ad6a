/**
 * Kills at any time: of the program, or of a process that it has started. Every other kill is aimed: at a child that does
 * part of the work, or what wraps it, at some instant of its short life.
 */
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
  /** Of those, of children and of what wraps them. */
  ofChildren: number;
  /** Runs that were over before. */
  missed: number;
}

export interface KillsOptions {
  random: Random;
  /** No new run is begun after this instant once there were so many kills. */
  until: number;
  kills: number;
  onFinding(text: string): void;
}

export async function runKills(bench: Bench, options: KillsOptions): Promise<KillsRow[]> {
  const {random, until} = options;
  const all = random.shuffled(operations);
  const withChild = all.filter(({child}) => child !== undefined);
  const rows = new Map<string, KillsRow>();
  const durations = new Map<string, number>();
  let kills = 0;
  for (let round = 0; Date.now() < until || kills < options.kills; round += 1) {
    const isAimed = round % 2 === 0;
    const operation = isAimed
      ? withChild[(round / 2) % withChild.length]!
      : all[((round - 1) / 2) % all.length]!;
    const row = rows.get(operation.name) ?? {operation: operation.name, kills: 0, ofChildren: 0, missed: 0};
    rows.set(operation.name, row);
    const wholeMs = durations.get(operation.name) ?? timeOf(bench, operation);
    durations.set(operation.name, wholeMs);
    bench.begin(operation);
    const killed = await killSometime(bench, operation, {random, wholeMs, isAimed});
    if (killed === undefined) row.missed += 1;
    else row.kills += 1;
    if (killed !== undefined) kills += 1;
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
  {random, wholeMs, isAimed}: {random: Random; wholeMs: number; isAimed: boolean},
): Promise<Killed | undefined> {
  const {env, directory} = bench.world;
  const child = spawn('imgctl', operation.args(bench), {env, cwd: directory, stdio: 'ignore'});
  const ended = new Promise((resolve) => child.on('close', resolve));
  const aim = isAimed ? operation.child : undefined;
  if (aim !== undefined) await untilChild(child, aim);
  await Promise.race([ended, sleep(random.next() * (aim === undefined ? wholeMs : childMs))]);
  const killed = killOne(child, aim === undefined ? 0.6 : 1, random);
  await ended;
  return killed;
}

/** How long a child lives at least: it starts Node. */
const childMs = 40;

/** The beginning of the short life of the child, or the end. */
async function untilChild(program: ChildProcess, name: string): Promise<void> {
  while (program.exitCode === null && program.signalCode === null) {
    if (descendantsOf(program.pid ?? 0).some((pid) => nameOf(pid) === name)) return;
    await sleep(3);
  }
}

/** With that chance one of the children, if there are any; undefined when there was nobody left. */
function killOne(child: ChildProcess, chance: number, random: Random): Killed | undefined {
  if (child.pid === undefined || child.exitCode !== null) return undefined;
  const children = descendantsOf(child.pid);
  const pid = children.length > 0 && random.next() < chance ? random.pick(children) : child.pid;
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
  return /([a-z]+-child|transfer-worker)(?:\.js)?\0/.exec(words)?.[1] ?? words.split('\0')[0] ?? '';
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
