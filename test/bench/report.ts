/** Medians, ratios and the table. */
import {execFileSync} from 'node:child_process';
import {cpus, release} from 'node:os';
import type {Cost} from './measure.ts';
import type {Peer} from './rows.ts';

export interface Result {
  name: string;
  goal: number;
  runs: Partial<Record<Peer, Cost[]>>;
  /** Of imgctl. */
  peakBytes: number;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

const wallOf = (costs: readonly Cost[] = []): number => median(costs.map((cost) => cost.wallSeconds));
const cpuOf = (costs: readonly Cost[] = []): number => median(costs.map((cost) => cost.cpuSeconds));

/** Against importd 262, or the plain tool where importd cannot do the work. */
const peerOf = ({runs}: Result): Cost[] | undefined => runs.sid ?? runs.tool;

function ratiosOf(result: Result): {wall: number; cpu: number} {
  const {imgctl} = result.runs;
  const peer = peerOf(result);
  return {wall: wallOf(imgctl) / wallOf(peer), cpu: cpuOf(imgctl) / cpuOf(peer)};
}

export function geometricMean(results: readonly Result[]): number {
  const logs = results.map((result) => Math.log(ratiosOf(result).wall));
  return Math.exp(logs.reduce((sum, value) => sum + value, 0) / logs.length);
}

export function tableOf(results: readonly Result[]): string {
  const lines = results.map((result) => {
    const {runs, goal, name, peakBytes} = result;
    const {wall, cpu} = ratiosOf(result);
    const seconds = (costs: Cost[] | undefined): string => (costs ? wallOf(costs).toFixed(2) : '-');
    const cells = [
      name,
      seconds(runs.imgctl),
      seconds(runs.sid),
      seconds(runs.trixie),
      seconds(runs.tool),
      wall.toFixed(2),
      goal.toFixed(2),
      wall <= goal ? 'yes' : 'no',
      cpu.toFixed(2),
      (peakBytes / 1024 ** 2).toFixed(0),
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return [
    '| work | imgctl s | importd 262 s | importd 257 s | tool s | ratio | goal | met | CPU ratio | peak MiB |',
    '| --- | --: | --: | --: | --: | --: | --: | --- | --: | --: |',
    ...lines,
    '',
    `Geometric mean of the ratios: ${geometricMean(results).toFixed(2)}`,
  ].join('\n');
}

export function machineLine(cores: string | undefined): string {
  const version = (program: string, argument = '--version'): string =>
    execFileSync(program, [argument], {encoding: 'utf8'}).split('\n')[0] ?? '';
  const model = cpus()[0]?.model ?? 'unknown processor';
  const used = cores ? `, ${cores} used` : '';
  return `${model}, ${cpus().length} processors${used}; Linux ${release()}; Node ${process.version}; ${version('qemu-img')}; ${new Date().toISOString().slice(0, 10)}. Medians; ext4 on a loop device, made anew for each run.`;
}

export function toJson(results: readonly Result[]): unknown {
  return {
    rows: results.map((result) => {
      const {wall, cpu} = ratiosOf(result);
      const {name, goal, runs, peakBytes} = result;
      return {name, ratio: wall, goal, cpuRatio: cpu, peakBytes, wallSeconds: wallOf(runs.imgctl), runs};
    }),
    geometricMean: geometricMean(results),
  };
}

/** The page in the documentation: the table, and which rows miss what they should reach. */
export function pageOf(cores: string | undefined, results: readonly Result[]): string {
  const missed = results.filter((result) => !(ratiosOf(result).wall <= result.goal)).map(({name}) => name);
  return `# Performance

Made by \`npm run bench -- --markdown FILE\`; what is measured stands in test/bench/rows.ts. The same work on the same
files by imgctl, by the helper programs of systemd-importd and by plain tools, in turns; each run on a new file system,
and checked. Ratio: imgctl to importd 262 (where that cannot do the work, to the tool), wall time; CPU ratio: the same of
user and system time. The tools neither verify nor sync; they show what the machine can do.

${machineLine(cores)}

${tableOf(results)}

Rows above their goal: ${missed.length === 0 ? 'none' : missed.join('; ')}.
`;
}
