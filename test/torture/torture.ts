/** All kinds of torture one after the other, each with its share of the time. */
import {Bench} from './bench.ts';
import {runConcurrency} from './concurrency.ts';
import {type Finding, runSeries} from './fault-series.ts';
import {runFullDisk} from './full-disk.ts';
import {Random} from './random.ts';
import type {RunResult} from './report.ts';

export interface TortureOptions {
  seed: number;
  minutes: number;
  /** At once. */
  processes: number;
  /** Only faults of these operations. */
  only?: readonly string[] | undefined;
  say(text: string): void;
}

const shares = {concurrency: 0.2, fullDisk: 0.15};

export async function torture(options: TortureOptions): Promise<RunResult> {
  const {seed, minutes, processes, only, say} = options;
  const findings: string[] = [];
  const random = new Random(seed);
  const bench = new Bench();
  const find = (text: string): void => {
    const masked = text.replaceAll(bench.world.directory, '$W');
    findings.push(masked);
    say(masked);
  };
  const isRoot = process.geteuid?.() === 0;
  const seconds = {series: 0, concurrency: 0, fullDisk: 0};
  const timed = async <T>(part: keyof typeof seconds, share: number, work: (until: number) => Promise<T>) => {
    const began = Date.now();
    const result = await work(began + share * minutes * 60_000);
    seconds[part] = Math.round((Date.now() - began) / 1000);
    return result;
  };
  try {
    await bench.open();
    const rest = only ? 1 : 1 - shares.concurrency - (isRoot ? shares.fullDisk : 0);
    const series = await timed('series', rest, (until) =>
      runSeries(bench, {random, until, only, onFinding: (finding) => find(textOf(finding))}),
    );
    const common = {random, onFinding: find};
    const concurrency = only
      ? {rounds: 0, processes: 0, refusals: 0}
      : await timed('concurrency', shares.concurrency, (until) =>
          runConcurrency(bench, {...common, until, processes}),
        );
    const fullDisk =
      isRoot && !only
        ? await timed('fullDisk', shares.fullDisk, (until) => runFullDisk(bench, {...common, until}))
        : undefined;
    return {seed, endedAt: new Date().toISOString(), seconds, series, concurrency, fullDisk, findings};
  } finally {
    await bench.close();
  }
}

function textOf({operation, fault, call, text}: Finding): string {
  const kind = fault.errno === 0 ? 'killed' : `errno ${fault.errno}${fault.goesOn ? ' and on' : ''}`;
  return `${operation}, ${kind} at call ${call.replace('!', '')}: ${text}`;
}
