/**
 * The bench: every row's programs one after the other, in another order each round, each on a file system of its own.
 *   node bench.ts DATA SCRATCH [--rounds N] [--only REGEX] [--peers LIST] [--cores N] [--no-memory]
 *     [--json FILE] [--markdown FILE]
 * Runs inside `inside.sh`. A run that did not do its work ends the bench.
 */
import {spawn} from 'node:child_process';
import {writeFileSync} from 'node:fs';
import {connect} from 'node:net';
import path from 'node:path';
import {parseArgs} from 'node:util';
import {type Command, type Cost, measure, peakMemory} from './measure.ts';
import {machineLine, pageOf, type Result, tableOf, toJson} from './report.ts';
import {makeRows, type Peer, type Places, type Row} from './rows.ts';
import {bindInto, makeTarget} from './target.ts';

const {values, positionals} = parseArgs({
  allowPositionals: true,
  allowNegative: true,
  options: {
    rounds: {type: 'string', default: '5'},
    json: {type: 'string'},
    markdown: {type: 'string'},
    only: {type: 'string', default: '.'},
    peers: {type: 'string', default: 'imgctl,sid,trixie,tool'},
    cores: {type: 'string'},
    memory: {type: 'boolean', default: true},
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

async function startServer(root: string): Promise<() => void> {
  const child = spawn('python3', [path.join(repository, 'test/oracle/httpd.py'), root, String(port)], {
    stdio: 'ignore',
  });
  const isUp = (): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(socket.end() !== undefined));
      socket.once('error', () => resolve(false));
    });
  while (!(await isUp())) if (child.exitCode !== null) throw new Error('the file server did not start');
  return () => child.kill();
}

/** One run on a file system of its own, checked. */
async function once<T>(row: Row, peer: Peer, run: (command: Command) => T | Promise<T>): Promise<T> {
  const target = makeTarget(scratch ?? '');
  const release = peer === 'sid' || peer === 'trixie' ? bindInto(places.tree(peer), target) : undefined;
  try {
    row.prepare?.(target);
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
const rows = makeRows(places).filter(({name}) => new RegExp(values.only).test(name));
const results = new Map<string, Result>(
  rows.map((row) => [row.name, {name: row.name, goal: row.goal, runs: {}, peakBytes: 0}]),
);
const stopServer = await startServer(data);
try {
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const row of rows) {
      const peers = wantedPeers.filter((peer) => row.commands[peer]);
      const rotated = peers.map((_, index) => peers[(index + round) % peers.length] ?? 'imgctl');
      const result = results.get(row.name);
      if (values.memory && round === 0 && result) result.peakBytes = await once(row, 'imgctl', peakMemory);
      for (const peer of rotated) {
        const cost: Cost = await once(row, peer, measure);
        const runs = result?.runs ?? {};
        runs[peer] = [...(runs[peer] ?? []), cost];
        process.stderr.write(
          `${round + 1} ${row.name} ${peer} ${cost.wallSeconds.toFixed(2)} s, ${cost.cpuSeconds.toFixed(2)} s of processor\n`,
        );
      }
    }
  }
} finally {
  stopServer();
}

const all = [...results.values()];
process.stdout.write(`${machineLine(values.cores)}\n\n${tableOf(all)}\n`);
if (values.markdown) writeFileSync(values.markdown, pageOf(values.cores, all));
if (values.json) writeFileSync(values.json, `${JSON.stringify(toJson(all), undefined, 2)}\n`);
