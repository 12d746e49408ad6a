/** Short commands in units of an empty start of Node: all take turns with it, so that what else the machine does hits all alike. */
import {execFileSync} from 'node:child_process';
import {readFileSync, rmSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {median} from './median.ts';

export interface StartRow {
  name: string;
  /** The most empty starts that are good enough, wall and processor time. */
  goal: number;
  argv: readonly [string, ...string[]];
  env: Readonly<Record<string, string>>;
  /** @throws Error when that is not the answer */
  check?(stdout: string): void;
}

export interface StartResult {
  name: string;
  goal: number;
  wallMs: number;
  cpuMs: number;
  /** In empty starts of the same turns. */
  wallStarts: number;
  cpuStarts: number;
  peakBytes: number;
}

interface Cost {
  wallMs: number;
  cpuMs: number;
  peakBytes: number;
}

const script = path.join(import.meta.dirname, 'cost.py');

function costOf({argv, env}: Pick<StartRow, 'argv' | 'env'>, directory: string): Cost {
  const figures = path.join(directory, 'figures');
  execFileSync('python3', [script, figures, ...argv], {
    env: {PATH: process.env.PATH, LC_ALL: 'C.UTF-8', ...env},
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const [wall = 0, user = 0, system = 0, peakKib = 0] = readFileSync(figures, 'utf8')
    .trim()
    .split(' ')
    .map(Number);
  return {wallMs: wall * 1000, cpuMs: (user + system) * 1000, peakBytes: peakKib * 1024};
}

/** `directory` is for what the measuring itself needs. */
export function measureStarts(rows: readonly StartRow[], runs: number, directory: string): StartResult[] {
  const empty = path.join(directory, 'empty.cjs');
  writeFileSync(empty, '');
  const unit: StartRow = {name: 'empty Node start', goal: 1, argv: [process.execPath, empty], env: {}};
  for (const row of rows) row.check?.(answerOf(row));
  const all = [unit, ...rows];
  const costs = all.map((): Cost[] => []);
  for (let run = 0; run < runs; run++)
    for (let turn = 0; turn < all.length; turn++) {
      const index = (turn + run) % all.length;
      costs[index]?.push(costOf(all[index] ?? unit, directory));
    }
  rmSync(empty);
  const medianOf = (index: number, key: keyof Cost): number =>
    median((costs[index] ?? []).map((cost) => cost[key]));
  return all.map(({name, goal}, index) => ({
    name,
    goal,
    wallMs: medianOf(index, 'wallMs'),
    cpuMs: medianOf(index, 'cpuMs'),
    wallStarts: medianOf(index, 'wallMs') / medianOf(0, 'wallMs'),
    cpuStarts: medianOf(index, 'cpuMs') / medianOf(0, 'cpuMs'),
    peakBytes: Math.max(...(costs[index] ?? []).map((cost) => cost.peakBytes)),
  }));
}

/** Of one run more, outside the count; it also fills what caches there are. */
function answerOf({argv: [program, ...words], env}: StartRow): string {
  return execFileSync(program, words, {
    env: {PATH: process.env.PATH, LC_ALL: 'C.UTF-8', ...env},
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

export function startsTable(results: readonly StartResult[]): string {
  const lines = results.map(({name, goal, wallMs, cpuMs, wallStarts, cpuStarts, peakBytes}) => {
    const isMet = wallStarts <= goal && cpuStarts <= goal;
    const cells = [
      ...[
        name,
        wallMs.toFixed(0),
        cpuMs.toFixed(0),
        wallStarts.toFixed(2),
        cpuStarts.toFixed(2),
        goal.toFixed(1),
      ],
      ...[isMet ? 'yes' : 'no', (peakBytes / 1024 ** 2).toFixed(0)],
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return [
    '| command | wall ms | CPU ms | wall, starts | CPU, starts | goal | met | peak MiB |',
    '| --- | --: | --: | --: | --: | --: | --- | --: |',
    ...lines,
  ].join('\n');
}

export function startsMissed(results: readonly StartResult[]): string[] {
  return results
    .filter(({wallStarts, cpuStarts, goal}) => !(Math.max(wallStarts, cpuStarts) <= goal))
    .map(({name}) => name);
}
