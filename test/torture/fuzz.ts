/** Feeds every reader of foreign bytes, each in a process of its own: none may crash, hang, or take much memory. */
import {spawn} from 'node:child_process';
import path from 'node:path';
import {fuzzTargets} from './fuzz-targets.ts';
import {Random} from './random.ts';

export interface FuzzRow {
  parser: string;
  inputs: number;
  /** Of those, how many were refused by name; the others were read. */
  refused: number;
  seconds: number;
  slowestMs: number;
  peakMiB: number;
}

export interface FuzzOptions {
  seed: number;
  /** How many of the parsers, by chance; undefined: all. */
  parsers?: number | undefined;
  /** For each parser; all of them, or as far as the time goes. */
  inputs: number;
  /** For all parsers; undefined: as long as it takes. */
  seconds: number | undefined;
  onFinding(text: string): void;
}

const worker = path.join(import.meta.dirname, 'fuzz-worker.ts');
/** Node itself takes up to half of it; the rest is the limit of what a parser may add. */
const mostMiB = 512;
const silenceMs = 30_000;
/** The last guard where there is no limit: far more than any parser needs. */
const mostSeconds = 1800;
/** What is alive at once may not be more; without it garbage lies about until nobody can tell how much is needed. */
const nodeOptions = ['--max-old-space-size=256', '--max-semi-space-size=16'];

/** Two at a time. What a quick parser leaves of its time the next ones have. */
export async function runFuzz(options: FuzzOptions): Promise<FuzzRow[]> {
  const until = options.seconds === undefined ? undefined : Date.now() + options.seconds * 1000;
  const left = new Random(options.seed).shuffled(Object.keys(fuzzTargets)).slice(0, options.parsers);
  const total = left.length;
  const rows: FuzzRow[] = [];
  const work = async (): Promise<void> => {
    for (let parser = left.shift(); parser !== undefined; parser = left.shift()) {
      const share = until === undefined ? mostSeconds : ((until - Date.now()) / 1000 / (left.length + 1)) * 2;
      const row = await feed(parser, {...options, seconds: Math.max(1, share)});
      if (until === undefined && row.inputs < options.inputs)
        options.onFinding(`${parser} had ${row.inputs} inputs in ${row.seconds} s, not ${options.inputs}`);
      rows.push(row);
    }
  };
  await Promise.all([work(), work()]);
  if (rows.length !== total) options.onFinding(`only ${rows.length} of ${total} parsers were fed`);
  return rows;
}

function feed(parser: string, {seed, inputs, seconds, onFinding}: FuzzOptions): Promise<FuzzRow> {
  const begin = Date.now();
  const row = {parser, inputs: 0, refused: 0, seconds: 0, slowestMs: 0, peakMiB: 0};
  const args = [...nodeOptions, worker, parser, String(seed), String(inputs), String(seconds)];
  const child = spawn(process.execPath, args, {stdio: ['ignore', 'pipe', 'pipe']});
  let said = '';
  const watch = (): NodeJS.Timeout => setTimeout(() => child.kill('SIGKILL'), silenceMs);
  let watchdog = watch();
  let rest = '';
  child.stdout.on('data', (chunk) => {
    clearTimeout(watchdog);
    watchdog = watch();
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const {finding, ...state} = JSON.parse(line);
      if (finding) onFinding(`${parser}, ${finding} (${state.input})`);
      else Object.assign(row, state);
    }
  });
  child.stderr.on('data', (chunk) => {
    said = (said + chunk).slice(-2000);
  });
  return new Promise((resolve) => {
    child.on('close', (status, signal) => {
      clearTimeout(watchdog);
      if (status !== 0)
        onFinding(
          `${parser} ended with ${signal ?? status} after input ${row.inputs} of seed ${seed}: ${said}`,
        );
      if (row.peakMiB > mostMiB) onFinding(`${parser} took ${row.peakMiB} MiB`);
      row.seconds = Math.round((Date.now() - begin) / 1000);
      row.slowestMs = Math.round(row.slowestMs);
      resolve(row);
    });
  });
}
