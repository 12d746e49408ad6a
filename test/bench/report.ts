/** Medians, ratios and the table. */
import {execFileSync} from 'node:child_process';
import {cpus, release} from 'node:os';
import type {Cost} from './measure.ts';
import {median} from './median.ts';
import {type Parts, partsPage} from './parts.ts';
import type {Peer} from './rows.ts';

export interface Result {
  name: string;
  goal: number;
  runs: Partial<Record<Peer, Cost[]>>;
  /** Of imgctl. */
  peakBytes: number;
  /** Why there are no figures. */
  failure?: string;
}

/** A row with a run that takes longer is measured in the first round only. */
export const slowSeconds = 30;

const wallOf = (costs: readonly Cost[] = []): number => median(costs.map((cost) => cost.wallSeconds));
const cpuOf = (costs: readonly Cost[] = []): number => median(costs.map((cost) => cost.cpuSeconds));

/** Against importd 262, or the plain tool where importd cannot do the work. */
const peerOf = ({runs}: Result): Cost[] | undefined => runs.sid ?? runs.tool;

function ratiosOf(result: Result): {wall: number; cpu: number} {
  const {imgctl} = result.runs;
  const peer = peerOf(result);
  return {wall: wallOf(imgctl) / wallOf(peer), cpu: cpuOf(imgctl) / cpuOf(peer)};
}

/** Of the rows that have importd beside them. */
export function geometricMean(results: readonly Result[]): number {
  const logs = measured(results)
    .filter(({runs}) => runs.sid)
    .map((result) => Math.log(ratiosOf(result).wall));
  // Of none it is 1.
  return Math.exp(logs.reduce((sum, value) => sum + value, 0) / Math.max(1, logs.length));
}

const measured = (results: readonly Result[]): Result[] =>
  results.filter((result) => result.failure === undefined && result.runs.imgctl && peerOf(result));

export function tableOf(results: readonly Result[]): string {
  const lines = measured(results).map((result) => {
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
    `Geometric mean of the ratios to importd: ${geometricMean(results).toFixed(2)}`,
  ].join('\n');
}

export interface Setting {
  /** As many processors were used; all when absent. */
  cores: string | undefined;
  rounds: number;
}

export function machineLine({cores, rounds}: Setting): string {
  const version = (program: string, argument = '--version'): string =>
    execFileSync(program, [argument], {encoding: 'utf8'}).split('\n')[0] ?? '';
  const model = cpus()[0]?.model ?? 'unknown processor';
  const used = cores ? `, ${cores} used` : '';
  return `${model}, ${cpus().length} processors${used}; Linux ${release()}; Node ${process.version}; ${version('qemu-img')}; ${new Date().toISOString().slice(0, 10)}. ${rounds === 1 ? 'One round' : `Medians of ${rounds} rounds`}; ext4 on a loop device, made anew for each run.`;
}

export function toJson(results: readonly Result[]): object {
  return {
    failures: failuresOf(results),
    rows: measured(results).map((result) => {
      const {wall, cpu} = ratiosOf(result);
      const {name, goal, runs, peakBytes} = result;
      return {name, ratio: wall, goal, cpuRatio: cpu, peakBytes, wallSeconds: wallOf(runs.imgctl), runs};
    }),
    geometricMean: geometricMean(results),
  };
}

function failuresOf(results: readonly Result[]): {name: string; failure: string}[] {
  return results.flatMap(({name, failure}) => (failure === undefined ? [] : [{name, failure}]));
}

/** The largest ratio of processor time, and the most memory, that is good enough in any row. */
const maxCpuRatio = 1.3;
const maxPeakBytes = 256 * 1024 ** 2;

/** Where importd cannot be beaten by as much, the tool alone says so. */
function limitOf({runs}: Result): string[] {
  if (!runs.sid || !runs.tool) return [];
  return [`the tool alone ${(wallOf(runs.tool) / wallOf(runs.sid)).toFixed(2)}`];
}

function missedOf(results: readonly Result[]): string {
  const missed = measured(results).flatMap((result) => {
    const {wall, cpu} = ratiosOf(result);
    const reasons = [
      ...(wall <= result.goal ? [] : [`${wall.toFixed(2)} of ${result.goal.toFixed(2)}`]),
      ...(cpu <= maxCpuRatio ? [] : [`CPU ${cpu.toFixed(2)} of ${maxCpuRatio}`]),
      ...(result.peakBytes <= maxPeakBytes
        ? []
        : [`${(result.peakBytes / 1024 ** 2).toFixed(0)} MiB of 256`]),
    ];
    return reasons.length > 0 ? [`- ${result.name}: ${[...reasons, ...limitOf(result)].join(', ')}`] : [];
  });
  const failed = failuresOf(results).map(({name, failure}) => `- ${name}: failed: ${failure.split('\n')[0]}`);
  const lines = [...missed, ...failed];
  return lines.length > 0 ? lines.join('\n') : 'None.';
}

/** The page in the documentation: the tables, and what misses what it should reach. */
export function pageOf(setting: Setting, results: readonly Result[], parts: Parts): string {
  return `# Performance

Made by \`npm run bench -- --markdown docs/performance.md\`; what is measured stands in test/bench.

${machineLine(setting)}

## Images in and out

The same work on the same files by imgctl, by the helper programs of systemd-importd and by plain tools, in turns; each run on
a new file system, and checked. Ratio: imgctl to importd 262 (where that cannot do the work, to the tool; in the last row to
our own pull-raw), wall time; CPU ratio: the same of user and system time. The tools neither verify nor sync; they show what the
machine can do. All sides decode xz by the newer liblzma of importd 262. When exporting, imgctl compresses xz with preset 3, which
the limit of its memory leaves room for on several threads, importd with 6; that row packs 64 MiB of the disk and /usr/bin of
the tree. Its zstd has a faster search and a wider window than level 3 of importd, and is as small here. Rows in which a run takes more than ${slowSeconds} s are measured once.

${tableOf(results)}

Above their goals (for all rows: CPU ratio ${maxCpuRatio}, 256 MiB of memory); with what the plain tool has to do with it:

${missedOf(results)}
${partsPage(parts)}`;
}
