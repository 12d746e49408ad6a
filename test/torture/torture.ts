/**
 * All kinds of torture one after the other: those with a number to reach first, for as long as they need, then the others,
 * each with its share of the time that is left.
 */
import path from 'node:path';
import {Bench} from './bench.ts';
import {runConcurrency} from './concurrency.ts';
import {type Finding, runSeries} from './fault-series.ts';
import {runFullDisk} from './full-disk.ts';
import {runFuzz} from './fuzz.ts';
import {runNetworkSeries} from './network-series.ts';
import {runPowerLoss} from './power-loss.ts';
import {Random} from './random.ts';
import {runKills} from './random-kills.ts';
import type {RunResult} from './report.ts';
import {runServerTorture} from './server-torture.ts';

export interface TortureOptions {
  seed: number;
  minutes: number;
  /** At once. */
  processes: number;
  /** For each parser. */
  fuzzInputs: number;
  /** How many parsers; undefined: all. */
  parsers?: number | undefined;
  /** So many kills, and all inputs, whatever the time; undefined: as far as the time goes. */
  kills?: number | undefined;
  /** Only faults of these operations. */
  only?: readonly string[] | undefined;
  say(text: string): void;
}

/** Where the program under test lies, which stacks name. */
const program = path.join(import.meta.dirname, '../..');

/** Of the time that is left when a part begins, in this order; full disks need root. */
const shares = {
  fuzz: 0.2,
  kills: 0.4,
  powerLoss: 0.2,
  server: 0.2,
  network: 0.08,
  concurrency: 0.2,
  fullDisk: 0.25,
  series: 1,
};
type Part = keyof typeof shares;

export async function torture(options: TortureOptions): Promise<RunResult> {
  const {seed, minutes, processes, only, say} = options;
  const findings: string[] = [];
  const random = new Random(seed);
  const bench = new Bench();
  const onFinding = (text: string): void => {
    const masked = text.replaceAll(bench.world.directory, '$W').replaceAll(program, '$P');
    findings.push(masked);
    say(masked);
  };
  const parts: RunResult['parts'] = {};
  const isRoot = process.geteuid?.() === 0;
  const end = Date.now() + minutes * 60_000;
  const run = async <K extends Part>(part: K, work: (until: number) => Promise<RunResult['parts'][K]>) => {
    if (only ? part !== 'series' : part === 'fullDisk' && !isRoot) return;
    const began = Date.now();
    parts[part] = await work(began + (only ? 1 : shares[part]) * Math.max(0, end - began));
    seconds[part] = Math.round((Date.now() - began) / 1000);
    say(`${part}: ${seconds[part]} s, ${findings.length} findings so far`);
  };
  const seconds: RunResult['seconds'] = {};
  const common = {random, onFinding};
  const onFault = (finding: Finding): void => onFinding(textOf(finding));
  try {
    await bench.open();
    await run('fuzz', (until) =>
      runFuzz({
        ...{seed, inputs: options.fuzzInputs, parsers: options.parsers, onFinding},
        seconds: options.kills === undefined ? (until - Date.now()) / 1000 : undefined,
      }),
    );
    await run('kills', (until) => runKills(bench, {...common, until, kills: options.kills ?? 0}));
    await run('powerLoss', (until) =>
      runPowerLoss(bench, {...common, until, hasAll: options.kills !== undefined}),
    );
    await run('server', (until) => runServerTorture(bench, {...common, until}));
    await run('network', (until) => runNetworkSeries({...common, until}));
    await run('concurrency', (until) => runConcurrency(bench, {...common, until, processes}));
    await run('fullDisk', (until) => runFullDisk(bench, {...common, until}));
    await run('series', (until) => runSeries(bench, {random, until, only, onFinding: onFault}));
    return {seed, endedAt: new Date().toISOString(), seconds, parts, findings};
  } finally {
    await bench.close();
  }
}

function textOf({operation, fault, call, text}: Finding): string {
  const kind = fault.errno === 0 ? 'killed' : `errno ${fault.errno}${fault.goesOn ? ' and on' : ''}`;
  const place = fault.within === undefined ? '' : ` of ${fault.within}`;
  return `${operation}, ${kind} at call ${call.replace('!', '')}${place}: ${text}`;
}
