/** docs/reliability.md, made by a run from what it did. */
import os from 'node:os';
import type {ConcurrencyRow} from './concurrency.ts';
import type {SeriesRow} from './fault-series.ts';
import type {FullDiskRow} from './full-disk.ts';

export interface RunResult {
  seed: number;
  /** When it ended, RFC 3339. */
  endedAt: string;
  seconds: {series: number; concurrency: number; fullDisk: number};
  series: SeriesRow[];
  concurrency: ConcurrencyRow;
  fullDisk: FullDiskRow | undefined;
  findings: string[];
}

export function reportOf(run: RunResult): string {
  const {series, concurrency, fullDisk, seconds} = run;
  const kills = series.reduce((sum, row) => sum + row.kills, 0);
  const failures = series.reduce((sum, row) => sum + row.failures, 0);
  const lines = [
    '# Reliability',
    '',
    'Written by `npm run torture`; not by hand. It shows what was killed, failed and raced, and what was found.',
    `Run with seed ${run.seed}, ended ${run.endedAt}, on Linux ${os.release()} with ${os.availableParallelism()} processors.`,
    '',
    '## Faults at each call',
    '',
    'A library before the program counts its calls that touch files (open, read, write, sync, rename, link, remove, ioctl) and either kills the process',
    'at one of them, or fails that call (EIO, ENOSPC, EDQUOT, EMFILE, EACCES), or fails it and all later ones that need space. After each, an independent',
    'script looks at records, storage and catalog; the command is run again and must end well; then nothing may be left over.',
    '',
    `${kills} kills and ${failures} failed calls in ${seconds.series} s.`,
    '',
    ...table([
      ['operation', 'calls', 'kills', 'failed calls'],
      ...series.map((row) => [row.operation, row.calls, row.kills, row.failures]),
    ]),
    '',
    '## Many at once',
    '',
    `${concurrency.processes} processes in ${concurrency.rounds} rounds, in ${seconds.concurrency} s: import, clone, delete, update, ignore, vacuum, repair and lists of the same images.`,
    `${concurrency.refusals} were refused for a good reason, none for a busy catalog or lock.`,
    '',
    '## Full disk',
    '',
    fullDisk
      ? `${fullDisk.runs} runs on file systems with little room or few inodes left, in ${seconds.fullDisk} s; ${fullDisk.refused} ended for want of it.`
      : 'Not run: it needs root.',
    '',
    '## Findings',
    '',
    ...(run.findings.length === 0
      ? ['None.']
      : run.findings.map((text) => `- ${text.replaceAll('\n', ' ')}`)),
  ];
  return `${lines.join('\n')}\n`;
}

function table(rows: readonly (readonly (string | number)[])[]): string[] {
  const [head = [], ...body] = rows.map((row) => `| ${row.join(' | ')} |`);
  return [String(head), `|${'---|'.repeat(rows[0]?.length ?? 0)}`, ...body];
}
