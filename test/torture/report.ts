/** docs/reliability.md, made by a run from what it did. */
import os from 'node:os';
import type {ConcurrencyRow} from './concurrency.ts';
import type {SeriesRow} from './fault-series.ts';
import type {FullDiskRow} from './full-disk.ts';
import type {FuzzRow} from './fuzz.ts';
import type {NetworkRow} from './network-series.ts';
import type {PowerLossRow} from './power-loss.ts';
import type {KillsRow} from './random-kills.ts';
import type {ServerRow} from './server-torture.ts';

interface Parts {
  series: SeriesRow[];
  kills: KillsRow[];
  powerLoss: PowerLossRow[];
  server: ServerRow;
  network: NetworkRow;
  concurrency: ConcurrencyRow;
  fullDisk: FullDiskRow;
  fuzz: FuzzRow[];
}

export interface RunResult {
  seed: number;
  /** When it ended, RFC 3339. */
  endedAt: string;
  seconds: Partial<Record<keyof Parts, number>>;
  /** What was run. */
  parts: {[Part in keyof Parts]?: Parts[Part] | undefined};
  findings: string[];
}

type Section = (rows: never, seconds: number) => string[];

const sections: {
  [Part in keyof Parts]: {title: string; lines: (rows: Parts[Part], seconds: number) => string[]};
} = {
  kills: {title: 'Kills at any time', lines: killsLines},
  series: {title: 'Faults at each call', lines: seriesLines},
  powerLoss: {title: 'Power cuts', lines: powerLossLines},
  server: {title: 'The image server', lines: serverLines},
  network: {title: 'Networks', lines: networkLines},
  concurrency: {title: 'Many at once', lines: concurrencyLines},
  fullDisk: {title: 'Full disk', lines: fullDiskLines},
  fuzz: {title: 'Foreign bytes', lines: fuzzLines},
};

export function reportOf(run: RunResult): string {
  const lines = [
    '# Reliability',
    '',
    'Written by `npm run torture`; not by hand. It shows what was killed, failed, cut off, raced and fed, and what was found. After each of the',
    'first four an independent script looks at records, storage and catalog; the command is run again and must end well; then nothing may be left',
    'over.',
    '',
    `Run with seed ${run.seed}, ended ${run.endedAt}, on Linux ${os.release()} with ${os.availableParallelism()} processors.`,
  ];
  for (const [part, {title, lines: linesOf}] of Object.entries(sections)) {
    const rows = run.parts[part as keyof Parts];
    const seconds = run.seconds[part as keyof Parts] ?? 0;
    lines.push(
      '',
      `## ${title}`,
      '',
      ...(rows ? (linesOf as Section)(rows as never, seconds) : ['Not run.']),
    );
  }
  const findings = run.findings.map((text) => `- ${text.replaceAll('\n', ' ')}`);
  lines.push('', '## Findings', '', ...(findings.length === 0 ? ['None.'] : findings));
  return `${lines.join('\n')}\n`;
}

const sum = <Row>(rows: readonly Row[], of: (row: Row) => number): number =>
  rows.reduce((total, row) => total + of(row), 0);

function killsLines(rows: KillsRow[], seconds: number): string[] {
  const kills = sum(rows, (row) => row.kills);
  const ofChildren = sum(rows, (row) => row.ofChildren);
  return [
    `${kills} kills in ${seconds} s: ${kills - ofChildren} of the command itself, ${ofChildren} of a process that it had started (a child that unpacks or packs, or the`,
    'sandbox around it), each at a random instant.',
    '',
    ...table(['operation', 'kills', 'of children', 'over before'], rows, (row) => [
      ...[row.operation, row.kills, row.ofChildren, row.missed],
    ]),
  ];
}

function seriesLines(rows: SeriesRow[], seconds: number): string[] {
  return [
    'A library before the program counts its calls that touch files (open, read, write, sync, rename, link, remove, chmod, ioctl) or connections',
    '(socket, connect, send, receive), in the program itself or in the child that unpacks or packs, and either kills the process at one of them,',
    'or fails that call (EIO, ENOSPC, EDQUOT, EMFILE, EACCES, EPERM, EINTR; ECONNREFUSED, ECONNRESET, ETIMEDOUT), or fails it and all later',
    'ones that need space.',
    '',
    `${sum(rows, (row) => row.kills)} kills and ${sum(rows, (row) => row.failures)} failed calls in ${seconds} s.`,
    '',
    ...table(['operation', 'calls', 'kills', 'failed calls'], rows, (row) => [
      ...[row.operation, row.calls, row.kills, row.failures],
    ]),
  ];
}

function powerLossLines(rows: PowerLossRow[], seconds: number): string[] {
  return [
    'A library records what command and child do to files; the record is played up to some call into a fresh root, where what was not synced by then',
    'is lost by chance: writes one by one, new, moved and removed names one by one. The runtime directory is empty after it. `publish` is not here:',
    'it changes the server only, of which the power cuts are below.',
    '',
    `${sum(rows, (row) => row.cuts)} cuts in ${seconds} s.`,
    '',
    ...table(['operation', 'changes', 'cuts'], rows, (row) => [row.operation, row.calls, row.cuts]),
  ];
}

function serverLines({kills, failures, cuts}: ServerRow, seconds: number): string[] {
  return [
    `${kills} kills, ${failures} failed calls and ${cuts} power cuts of a server to which a client publishes, or which it changes or deletes an image of, in ${seconds} s.`,
  ];
}

function networkLines(
  {downloads, whole, requests, slowestMs, behaviours, ways}: NetworkRow,
  seconds: number,
): string[] {
  const list = (counts: Record<string, number>): string =>
    Object.entries(counts)
      .sort(([one], [two]) => (one < two ? -1 : 1))
      .map(([name, count]) => `${name} (${count})`)
      .join(', ');
  return [
    `${downloads} downloads of a file with ${requests} requests in ${seconds} s from a server that answers by chance as below, each time in another mixture: ${whole} came`,
    `whole, the others were refused by a named error; none had wrong bytes, none took longer than ${slowestMs} ms.`,
    '',
    `What the server did: ${list(behaviours)}`,
    '',
    `How it was reached, over TLS only with the right certificate, and never without TLS in place of it: ${list(ways)}`,
  ];
}

function concurrencyLines({processes, rounds, refusals}: ConcurrencyRow, seconds: number): string[] {
  return [
    `${processes} processes in ${rounds} rounds, in ${seconds} s: import, clone, delete, update, ignore, vacuum, repair and lists of the same images.`,
    `${refusals} were refused for a good reason, none for a busy catalog or lock.`,
  ];
}

function fullDiskLines({runs, refused}: FullDiskRow, seconds: number): string[] {
  return [
    `${runs} runs on file systems with little room or few inodes left, in ${seconds} s; ${refused} ended for want of it.`,
  ];
}

function fuzzLines(rows: FuzzRow[], seconds: number): string[] {
  return [
    'Good samples with bytes changed, cut, doubled and mixed, checksums made right again where they would hide the rest; documents with values from',
    'fast-check. Each parser in a process of its own, of which Node takes most of the memory. Refused: by an error with a code.',
    '',
    `${sum(rows, (row) => row.inputs)} inputs in ${seconds} s, two parsers at a time.`,
    '',
    ...table(
      ['parser', 'inputs', 'refused', 'seconds', 'slowest input, ms', 'peak memory, MiB'],
      rows,
      (row) => [...[row.parser, row.inputs, row.refused, row.seconds, row.slowestMs, row.peakMiB]],
    ),
  ];
}

function table<Row>(
  head: readonly string[],
  rows: readonly Row[],
  cells: (row: Row) => readonly (string | number)[],
): string[] {
  const line = (texts: readonly (string | number)[]): string => `| ${texts.join(' | ')} |`;
  const body = rows.map((row) => line(cells(row))).sort();
  return [line(head), `|${'---|'.repeat(head.length)}`, ...body];
}
