/**
 * The bench: every row's programs one after the other, in another order each round, each on a file system of its own.
 *   node bench.ts DATA SCRATCH [--rounds N] [--only REGEX] [--peers LIST] [--cores N] [--no-memory]
 *     [--json FILE] [--markdown FILE] [--parts DIR]
 * Runs inside `inside.sh`. A row of which a run fails or did not do its work is left out and named; the others go on.
 */
import {writeFileSync} from 'node:fs';
import path from 'node:path';
import {parseArgs} from 'node:util';
import {startFileServer} from './file-server.ts';
import {importRow, startImages} from './import-row.ts';
import {type Command, type Cost, measure, peakMemory} from './measure.ts';
import {readParts} from './parts.ts';
import {machineLine, pageOf, type Result, slowSeconds, tableOf, toJson} from './report.ts';
import {makeRows, type Peer, type Places, type Row} from './rows.ts';
import {bindInto, makeTarget, readIntoMemory} from './target.ts';

const {values, positionals} = parseArgs({
  allowPositionals: true,
  allowNegative: true,
  options: {
    rounds: {type: 'string', default: '5'},
    json: {type: 'string'},
    markdown: {type: 'string'},
    parts: {type: 'string'},
    only: {type: 'string', default: '.'},
    peers: {type: 'string', default: 'imgctl,sid,trixie,tool'},
    cores: {type: 'string'},
    memory: {type: 'boolean', default: true},
    scaling: {type: 'boolean', default: true},
  },
});
const [data, scratch] = positionals;
const trees = process.env.BENCH_TREES;
if (!data || !scratch || !trees) throw new Error('usage: inside.sh SCRATCH DATA node bench.ts DATA SCRATCH');

const port = 8080;
const repository = path.join(import.meta.dirname, '../..');
const places: Places = {
  data,
  tree: (suite) => path.join(trees, suite),
  imgctl: path.join(repository, 'bin/imgctl'),
  url: `http://127.0.0.1:${port}`,
};

/** One run on a file system of its own, checked. */
async function once<T>(row: Row, peer: Peer, run: (command: Command) => T | Promise<T>): Promise<T> {
  const target = makeTarget(scratch ?? '');
  const release = peer === 'sid' || peer === 'trixie' ? bindInto(places.tree(peer), target) : undefined;
  try {
    row.prepare?.(target);
    target.sync();
    if (row.input) readIntoMemory(row.input);
    const {argv, env} = row.commands[peer]?.(target) ?? {argv: ['false']};
    const pinned = values.cores ? ['taskset', '-c', `0-${Number(values.cores) - 1}`] : [];
    const [program = '', ...rest] = [...pinned, ...argv];
    const outcome = await run({argv: [program, ...rest], ...(env ? {env} : {})});
    row.check(target, peer);
    return outcome;
  } finally {
    release?.();
    target.remove();
  }
}

const wantedPeers = values.peers.split(',') as Peer[];
const images = await startImages(places, scratch);
const rows = [...makeRows(places), importRow(places, images)].filter(({name}) =>
  new RegExp(values.only).test(name),
);
const results = new Map<string, Result>(
  rows.map((row) => [row.name, {name: row.name, goal: row.goal, runs: {}, peakBytes: 0}]),
);
/** All peers once; the row is given up at the first failure. */
async function measureRow(row: Row, round: number): Promise<void> {
  const result = results.get(row.name);
  if (!result || result.failure !== undefined) return;
  const earlier = Object.values(result.runs).flat();
  if (earlier.some(({wallSeconds}) => wallSeconds > slowSeconds)) return;
  const peers = wantedPeers.filter((peer) => row.commands[peer]);
  const rotated = peers.map((_, index) => peers[(index + round) % peers.length] ?? 'imgctl');
  try {
    if (values.memory && round === 0) result.peakBytes = await once(row, 'imgctl', peakMemory);
    for (const peer of rotated) {
      const cost: Cost = await once(row, peer, measure);
      result.runs[peer] = [...(result.runs[peer] ?? []), cost];
      process.stderr.write(
        `${round + 1} ${row.name} ${peer} ${cost.wallSeconds.toFixed(2)} s, ${cost.cpuSeconds.toFixed(2)} s of processor\n`,
      );
    }
  } catch (error) {
    result.failure = error instanceof Error ? error.message : String(error);
    process.stderr.write(`${row.name}: ${result.failure}\n`);
    process.exitCode = 1;
  }
}

const stopServer = await startFileServer(data, port);
try {
  const startedMs = performance.now();
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const row of rows) await measureRow(row, round);
    if (round > 0) continue;
    const minutes = (performance.now() - startedMs) / 60_000;
    process.stderr.write(
      `one round: ${minutes.toFixed(0)} min; all ${values.rounds}: about ${(minutes * Number(values.rounds)).toFixed(0)} min\n`,
    );
  }
} finally {
  images.stop();
  stopServer();
}

const all = [...results.values()];
const setting = {cores: values.cores, rounds: Number(values.rounds)};
process.stdout.write(`${machineLine(setting)}\n\n${tableOf(all)}\n`);
const parts = readParts(values.parts);
if (values.markdown) writeFileSync(values.markdown, pageOf(setting, all, parts));
if (values.json) writeFileSync(values.json, `${JSON.stringify({...toJson(all), ...parts}, undefined, 2)}\n`);
