/**
 * A source with many images: what the first asking costs, what asking again costs, and what showing twenty of them costs.
 * One image more than whole pages: then it is plain that the one answer was all.
 * `node catalog.ts [--rounds N] [--only REGEX] [--json FILE] [--counts LIST]`.
 */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {createInterface} from 'node:readline';
import {parseArgs} from 'node:util';
import {measureAside} from './measure.ts';
import {type RefreshResult, refreshTable} from './refresh-table.ts';
import {measureStarts, type StartResult, type StartRow, startsTable} from './starts.ts';
import {versionsPerName, writeConfiguration} from './worlds.ts';

const {values} = parseArgs({
  options: {
    rounds: {type: 'string', default: '15'},
    only: {type: 'string', default: '.'},
    json: {type: 'string'},
    counts: {type: 'string', default: '100001,1000001'},
  },
});
const program = path.join(import.meta.dirname, '../../bin/imgctl');
const directory = mkdtempSync(path.join(tmpdir(), 'imgctl-bench-'));
/** Empty starts for a query that finds twenty. */
const goalFor = (count: number): number => (count < 200_000 ? 2 : 5);

function queriesFor(root: string, count: number): StartRow[] {
  const middle = Math.floor(count / versionsPerName / 2);
  const query = (...words: string[]): StartRow => ({
    name: `avail ${words.join(' ')}: ${count} offers`,
    goal: goalFor(count),
    argv: [program, '--offline', 'avail', '-H', ...words],
    env: {IMGCTL_ROOT: root, HOME: directory},
    check(stdout) {
      const found = stdout.split('\n').length - 1;
      if (found === 0 || found > versionsPerName) throw new Error(`${found} images found`);
    },
  });
  return [
    query(`name=image-${middle}`, '-s', '-published_at'),
    query('type=other', `name=image-${middle}`, '-s', 'name'),
    query(`name=~mage-${middle}`, '-s', 'name'),
  ].slice(0, count > 200_000 ? 2 : 3);
}

async function benchCount(count: number): Promise<{refresh: RefreshResult; queries: StartResult[]}> {
  const root = path.join(directory, String(count));
  mkdirSync(root);
  const server = spawn(process.execPath, [path.join(import.meta.dirname, 'offer-server.ts'), String(count)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const said: string[] = [];
  const lines = createInterface(server.stdout);
  const [url] = (await once(lines, 'line')) as [string];
  lines.on('line', (line) => said.push(line));
  try {
    writeConfiguration(root, {sources: [{url}], limits: {listingImages: count, listingBytes: 2 ** 31}});
    const ask = {argv: [program, '--root', root, 'avail', 'name=image-0'] as const, env: {HOME: directory}};
    const first = await measureAside(ask);
    said.length = 0;
    const again = await measureAside(ask);
    const refresh = {
      ...{images: count, first: first.cost, again: again.cost, requestsAgain: [...said]},
      ...{
        catalogBytes: statSync(path.join(root, 'var/lib/imgctl/catalog.db')).size,
        peakBytes: first.peakBytes,
      },
    };
    return {refresh, queries: measureStarts(queriesFor(root, count), Number(values.rounds), directory)};
  } finally {
    server.kill();
    rmSync(root, {recursive: true});
  }
}

try {
  const refreshes: RefreshResult[] = [];
  const queries: StartResult[] = [];
  for (const count of values.counts.split(',').map(Number)) {
    if (!new RegExp(values.only).test(`catalog: ${count}`)) continue;
    const result = await benchCount(count);
    refreshes.push(result.refresh);
    queries.push(...result.queries.filter(({name}) => queries.length === 0 || name !== 'empty Node start'));
  }
  if (refreshes.length > 0) process.stdout.write(`${refreshTable(refreshes)}\n\n${startsTable(queries)}\n\n`);
  if (values.json) writeFileSync(values.json, JSON.stringify({refreshes, queries}));
} finally {
  rmSync(directory, {recursive: true});
}
