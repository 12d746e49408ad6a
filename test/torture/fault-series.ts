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

const {EIO, ENOSPC, EDQUOT, EMFILE, EACCES, EPERM, EINTR, ECONNRESET, ETIMEDOUT, ECONNREFUSED} =
  os.constants.errno;
const errors = [EIO, ENOSPC, EDQUOT, EMFILE, EACCES, EPERM, EINTR];
const errorsOf: Readonly<Record<string, number[]>> = {
  socket: [EMFILE, EPERM],
  connect: [ECONNREFUSED, ETIMEDOUT, EPERM],
  recv: [ECONNRESET, ETIMEDOUT],
  send: [ECONNRESET, ETIMEDOUT],
};

interface Queue {
  operation: Operation;
  /** The child that is hit, instead of the program itself. */
  within: string | undefined;
  row: SeriesRow;
  /** Undefined until its calls have been counted. */
  faults: Fault[] | undefined;
}

/** Goes round the operations, so that all get their share of the time; at least one fault is made. */
export async function runSeries(bench: Bench, options: SeriesOptions): Promise<SeriesRow[]> {
  const {random, until, only} = options;
  const queues = random.shuffled(
    operations
      .filter(({name}) => !only || only.includes(name))
      .flatMap((operation) => [
        queueOf(operation, undefined),
        ...(operation.child === undefined ? [] : [queueOf(operation, operation.child)]),
      ]),
  );
  let done = 0;
  for (let isLeft = true; isLeft; ) {
    isLeft = false;
    for (const queue of queues) {
      if (Date.now() > until && done > 0) continue;
      const {operation, row} = queue;
      queue.faults ??= random.shuffled(faultsFor(countCalls(bench, queue), queue.within, random));
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

function queueOf(operation: Operation, within: string | undefined): Queue {
  const name = within === undefined ? operation.name : `${operation.name}: ${within}`;
  return {operation, within, row: {operation: name, calls: 0, kills: 0, failures: 0}, faults: undefined};
}

/** The names of its calls. */
function countCalls(bench: Bench, {operation, within, row}: Queue): string[] {
  bench.begin(operation);
  const {calls} = bench.run(operation.args(bench), {at: 0, errno: 0, within});
  row.calls = calls.length;
  return calls.map((line) => line.split(' ')[1] ?? '');
}

function faultsFor(calls: readonly string[], within: string | undefined, random: Random): Fault[] {
  return calls.flatMap((name, index): Fault[] => {
    const at = index + 1;
    const one = {at, errno: random.pick(errorsOf[name] ?? errors), within};
    if (name in errorsOf) return [one];
    return [{at, errno: 0, within}, one, {at, errno: ENOSPC, goesOn: true, within}];
  });
}

async function runOne(bench: Bench, operation: Operation, fault: Fault): Promise<Finding[]> {
  bench.begin(operation);
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

/** Repairs, and tells what does not hold then. */
export function settle(bench: Bench, operation: Operation): string[] {
  const repaired = bench.world.run(['doctor', '--repair']);
  const texts =
    repaired.status === 0 ? [] : [`doctor --repair ended with ${repaired.status}: ${repaired.stdout}`];
  texts.push(...bench.check({settled: true}));
  const installed = bench.world.installed();
  if (installed.sort().join() !== [...operation.installed].sort().join())
    texts.push(`installed are ${installed.join(' ') || 'none'}`);
  return texts;
}
