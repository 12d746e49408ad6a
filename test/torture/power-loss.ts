/**
 * Power cuts: each command is recorded once, and its log is played up to some call into a fresh root, without what was not
 * synced then. What must hold is checked there, the command is run again, and nothing may be left over.
 */
import {mkdirSync, readFileSync, rmSync} from 'node:fs';
import type {Bench} from './bench.ts';
import {DiskModel, keepsBy, type LoggedCall, parseLog, type Snapshot, takeSnapshot} from './disk-model.ts';
import {settle} from './fault-series.ts';
import {type Operation, operations} from './operations.ts';
import type {Random} from './random.ts';

export interface PowerLossRow {
  operation: string;
  /** Changes of the disk that were recorded. */
  calls: number;
  cuts: number;
}

export interface PowerLossOptions {
  random: Random;
  /** No new round is begun after this instant, once each operation has had one if `hasAll`. */
  until: number;
  hasAll: boolean;
  onFinding(text: string): void;
}

const looksPerRun = 7;

export interface Recorded {
  before: Readonly<Record<string, Snapshot>>;
  calls: LoggedCall[];
}

interface Recording extends Recorded {
  operation: Operation;
  row: PowerLossRow;
}

export async function runPowerLoss(bench: Bench, options: PowerLossOptions): Promise<PowerLossRow[]> {
  const {random, until, hasAll} = options;
  const chosen = random.shuffled(operations.filter(({changesServerOnly}) => !changesServerOnly));
  const recordings = new Map<string, Recording>();
  for (let round = 0; Date.now() < until || (hasAll && round < chosen.length); round += 1) {
    const operation = chosen[round % chosen.length]!;
    const recording = recordings.get(operation.name) ?? record(bench, operation);
    recordings.set(operation.name, recording);
    // Most cuts are only looked at; the last of some is gone on from.
    for (let left = looksPerRun; left >= 0; left -= 1) {
      const at = random.below(recording.calls.length + 1);
      const texts = cutAt(bench, recording, at, keepsBy(random));
      if (left === 0) texts.push(...goOn(bench, operation));
      recording.row.cuts += 1;
      const place = `${operation.name}, power cut after ${at} of ${recording.row.calls} changes`;
      for (const text of texts) options.onFinding(`${place}: ${text}`);
    }
  }
  return [...recordings.values()].map(({row}) => row);
}

function record(bench: Bench, operation: Operation): Recording {
  bench.begin(operation);
  const recorded = recordCommand(bench, operation.args(bench));
  const row = {operation: operation.name, calls: recorded.calls.length, cuts: 0};
  return {operation, row, ...recorded};
}

/** What a command that must end well does to the root as it is. */
export function recordCommand(bench: Bench, args: readonly string[]): Recorded {
  const before = {root: takeSnapshot(bench.world.root), out: takeSnapshot(bench.at('out'))};
  const log = `${bench.world.directory}.log`;
  const run = bench.runRecorded(args, log);
  const calls = parseLog(readFileSync(log));
  rmSync(log);
  if (run.status !== 0) throw new Error(`"${args.join(' ')}" could not be recorded: ${run.stderr}`);
  return {before, calls};
}

/** What does not hold after a power cut behind so many calls, which leaves what `keeps` says of what was not synced. */
export function cutAt(bench: Bench, {before, calls}: Recorded, at: number, keeps: () => boolean): string[] {
  const disk = new DiskModel(before);
  for (const call of calls.slice(0, at)) disk.play(call);
  disk.cut(keeps);
  bench.clear();
  disk.write('root', bench.world.root, ['run']);
  disk.write('out', bench.at('out'));
  mkdirSync(bench.at('out'), {recursive: true});
  return bench.check({settled: false, isCut: true});
}

/** The command once more, and a repair. */
function goOn(bench: Bench, operation: Operation): string[] {
  operation.prepare?.(bench);
  const texts = [...(operation.check?.(bench) ?? [])];
  const args = operation.args(bench);
  const again = bench.world.run(args);
  if (operation.endsWell ? !operation.endsWell(again) : again.status !== 0)
    texts.push(`the next run ended with ${again.status}: ${again.stderr}`);
  if (again.stderr.includes('InternalError')) texts.push(`the next run: ${again.stderr}`);
  texts.push(...(operation.check?.(bench) ?? []), ...settle(bench, operation));
  return texts;
}
