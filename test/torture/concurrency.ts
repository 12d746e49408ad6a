/** Twenty processes at once on the same and on other images: one download each, nothing lost, and nobody sees a busy error. */
import {slowServer} from '../support/slow-server.ts';
import type {Outcome} from '../support/world.ts';
import {type Bench, disk, offered, tree} from './bench.ts';
import type {Random} from './random.ts';

export interface ConcurrencyRow {
  rounds: number;
  processes: number;
  /** Of those, how many were refused for a good reason. */
  refusals: number;
}

export interface ConcurrencyOptions {
  random: Random;
  until: number;
  processes: number;
  onFinding(text: string): void;
}

/** What may be said to somebody whose wish collides with another's. */
const goodReasons =
  /error \((ImageInUse|ImageHasDependentClones|ImageNotInstalled|InstanceExists|OriginNotInstalled|ImageAlreadyExists)\)|no installed image with the given UUID/;

export async function runConcurrency(bench: Bench, options: ConcurrencyOptions): Promise<ConcurrencyRow> {
  const row = {rounds: 0, processes: 0, refusals: 0};
  await importTogether(bench, options, row);
  while (Date.now() < options.until) await mixedRound(bench, options, row);
  return row;
}

/** All want one image: it comes once, and all of them have it. */
async function importTogether(
  bench: Bench,
  {processes, onFinding}: ConcurrencyOptions,
  row: ConcurrencyRow,
): Promise<void> {
  bench.restore('empty');
  const server = await slowServer(bench.world.url, {bytesPerSecond: 2 * 1024 * 1024});
  try {
    bench.world.useSources([server.url]);
    const runs = Array.from({length: processes}, () =>
      bench.world.runWhile(['import', '-q', offered], async () => undefined),
    );
    for (const {status, stderr} of await Promise.all(runs))
      if (status !== 0 || stderr !== '') onFinding(`import by many ended with ${status}: ${stderr}`);
    if (server.fileRequests !== 1) onFinding(`one image was downloaded ${server.fileRequests} times`);
    row.rounds += 1;
    row.processes += processes;
    settle(bench, onFinding);
  } finally {
    await server.close();
    bench.world.useSources([bench.world.url]);
  }
}

async function mixedRound(
  bench: Bench,
  {random, processes, onFinding}: ConcurrencyOptions,
  row: ConcurrencyRow,
): Promise<void> {
  bench.restore('full');
  const images = [tree, disk, offered];
  const wishes = Array.from({length: processes}, (_, index) =>
    random.pick([
      ['import', '-q', random.pick(images)],
      ['import', '-q', random.pick(images)],
      ['delete', random.pick(images)],
      ['clone', random.pick([tree, disk]), `clone-${index}`],
      ['clone', tree, 'clone-of-many'],
      ['update', disk],
      ['ignore', random.pick(images)],
      ['ignore', '--off', random.pick(images)],
      ['vacuum', '-f'],
      ['doctor', '--repair'],
      ['avail', '-H'],
      ['list', '-H'],
    ]),
  );
  const runs = wishes.map((args) => bench.world.runWhile(args, async () => undefined));
  for (const [index, outcome] of (await Promise.all(runs)).entries()) {
    const text = judge(outcome);
    if (text === 'refused') row.refusals += 1;
    else if (text !== undefined) onFinding(`${wishes[index]?.join(' ')}: ${text}`);
  }
  row.rounds += 1;
  row.processes += processes;
  settle(bench, onFinding);
}

function judge({status, stdout, stderr}: Outcome): string | undefined {
  if (status === 0) return /warning|error/.test(stderr) ? `it complained: ${stderr}` : undefined;
  return goodReasons.test(stderr) ? 'refused' : `it ended with ${status}: ${stderr}${stdout}`;
}

function settle(bench: Bench, onFinding: (text: string) => void): void {
  const {status, stdout, stderr} = bench.world.run(['doctor', '--repair']);
  if (status !== 0) onFinding(`doctor --repair ended with ${status}: ${stdout}${stderr}`);
  for (const text of bench.check({settled: true})) onFinding(text);
}
