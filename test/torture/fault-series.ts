/**
 * Each operation with a fault at each of its calls that touch files: the process killed there, or the call failed. After
 * each, what must hold is checked; then the operation is run again, which must end well and leave nothing behind.
 */
import os from 'node:os';
import type {Bench, Fault, FaultedRun} from './bench.ts';
import {type Operation, operations} from './operations.ts';
import type {Random} from './random.ts';

export interface Finding {
  operation: string;
  fault: Fault;
  call: string;
  text: string;
}

export interface SeriesRow {
  operation: string;
  /** Calls of a run without a fault. */
  calls: number;
  kills: number;
  failures: number;
}

export interface SeriesOptions {
  random: Random;
  /** No new run is begun after this instant, in milliseconds of the clock. */
  until: number;
  /** Names of operations; undefined: all. */
  only?: readonly string[] | undefined;
  onFinding(finding: Finding): void;
}

const {EIO, ENOSPC, EDQUOT, EMFILE, EACCES} = os.constants.errno;
const errors = [EIO, ENOSPC, EDQUOT, EMFILE, EACCES];

interface Queue {
  operation: Operation;
  row: SeriesRow;
  /** Undefined until its calls have been counted. */
  faults: Fault[] | undefined;
}

/** Goes round the operations, so that all get their share of the time; at least one fault is made. */
export async function runSeries(bench: Bench, options: SeriesOptions): Promise<SeriesRow[]> {
  const {random, until, only} = options;
  const queues = random
    .shuffled(operations.filter(({name}) => !only || only.includes(name)))
    .map((operation): Queue => {
      return {
        operation,
        row: {operation: operation.name, calls: 0, kills: 0, failures: 0},
        faults: undefined,
      };
    });
  let done = 0;
  for (let isLeft = true; isLeft; ) {
    isLeft = false;
    for (const queue of queues) {
      if (Date.now() > until && done > 0) continue;
      const {operation, row} = queue;
      queue.faults ??= random.shuffled(faultsFor(countCalls(bench, queue), random));
      const fault = queue.faults.pop();
      if (!fault) continue;
      isLeft = true;
      done += 1;
      if (fault.errno === 0) row.kills += 1;
      else row.failures += 1;
      for (const finding of await runOne(bench, operation, fault)) options.onFinding(finding);
    }
  }
  return queues.map(({row}) => row).filter(({calls}) => calls > 0);
}

function countCalls(bench: Bench, {operation, row}: Queue): number {
  bench.restore(operation.state);
  row.calls = bench.run(operation.args(bench), {at: 0, errno: 0}).calls.length;
  return row.calls;
}

function faultsFor(calls: number, random: Random): Fault[] {
  const faults: Fault[] = [];
  for (let at = 1; at <= calls; at++) {
    faults.push({at, errno: 0}, {at, errno: random.pick(errors)}, {at, errno: ENOSPC, goesOn: true});
  }
  return faults;
}

async function runOne(bench: Bench, operation: Operation, fault: Fault): Promise<Finding[]> {
  bench.restore(operation.state);
  const args = operation.args(bench);
  const run = bench.run(args, fault);
  const texts = [...(await bench.untilQuiet()), ...judge(run, fault)];
  texts.push(...bench.check({settled: false}), ...(operation.check?.(bench) ?? []));
  const again = bench.world.run(args);
  if (operation.endsWell ? !operation.endsWell(again) : again.status !== 0)
    texts.push(`the next run ended with ${again.status}: ${again.stderr}`);
  if (again.stderr.includes('InternalError')) texts.push(`the next run: ${again.stderr}`);
  texts.push(...(operation.check?.(bench) ?? []), ...settle(bench, operation));
  const call = run.calls.find((line) => /^\d+! /.test(line)) ?? '(not reached)';
  return texts.map((text) => ({operation: operation.name, fault, call, text}));
}

/** A failure is told in a line with a code; it never is a stack, a hang, or a fault of our own. */
function judge(run: FaultedRun, fault: Fault): string[] {
  // Where a process of its own does the work, that one is killed, and the one in front tells of it.
  if (fault.errno === 0)
    return run.hasFired && run.status === 0 && run.stderr === '' ? ['it was killed and nobody said so'] : [];
  if (run.signal) return [`it ended by ${run.signal}: ${run.stderr}`];
  if (run.stderr.includes('InternalError') || /^ {4}at /m.test(run.stderr)) return [run.stderr];
  if (run.status === 0 || run.stderr !== '') return [];
  return run.stdout === '' ? [`it ended with ${run.status} and said nothing`] : [];
}

function settle(bench: Bench, operation: Operation): string[] {
  const repaired = bench.world.run(['doctor', '--repair']);
  const texts =
    repaired.status === 0 ? [] : [`doctor --repair ended with ${repaired.status}: ${repaired.stdout}`];
  texts.push(...bench.check({settled: true}));
  const installed = bench.world.installed();
  if (installed.sort().join() !== [...operation.installed].sort().join())
    texts.push(`installed are ${installed.join(' ') || 'none'}`);
  return texts;
}
