/**
 * An image server that is killed, whose calls fail, or whose disk loses power, while a client publishes, changes or deletes:
 * what it offers afterwards is whole, the same request then ends well, and nothing is left over.
 */
import {type ChildProcess, spawn, spawnSync} from 'node:child_process';
import {existsSync, mkdirSync, readFileSync, rmSync} from 'node:fs';
import os from 'node:os';
import {setTimeout as sleep} from 'node:timers/promises';
import type {Outcome} from '../support/world.ts';
import {type Bench, disk, type Fault, fresh} from './bench.ts';
import {DiskModel, keepsBy, parseLog, takeSnapshot} from './disk-model.ts';
import type {Random} from './random.ts';

export interface ServerRow {
  kills: number;
  failures: number;
  cuts: number;
}

export interface ServerOptions {
  random: Random;
  until: number;
  onFinding(text: string): void;
}

interface Request {
  name: string;
  args(bench: Bench, url: string): string[];
  endsWell(outcome: Outcome): boolean;
}

const requests: Request[] = [
  {
    name: 'publish',
    args: (bench, url) => [
      'publish',
      '-q',
      '-m',
      bench.at('fresh.raw.imgmanifest'),
      '-f',
      bench.at('fresh.raw'),
      url,
    ],
    endsWell: ({status, stderr}) => status === 0 || stderr.includes('ImageUuidAlreadyExists'),
  },
  {
    name: 'update',
    args: (_bench, url) => ['server', 'update', url, disk, 'description=another'],
    endsWell: ({status}) => status === 0,
  },
  {
    name: 'delete',
    args: (_bench, url) => ['server', 'delete', '--yes', url, disk],
    endsWell: ({status, stderr}) => status === 0 || stderr.includes('ResourceNotFound'),
  },
];

const {EIO, ENOSPC, EMFILE, ECONNRESET} = os.constants.errno;
const kinds = ['kill', 'fault', 'cut'] as const;

export async function runServerTorture(bench: Bench, options: ServerOptions): Promise<ServerRow> {
  const {random, until, onFinding} = options;
  const row = {kills: 0, failures: 0, cuts: 0};
  const torture = new ServerTorture(bench, random);
  for (let round = 0; Date.now() < until; round += 1) {
    const request = random.pick(requests);
    const kind = kinds[round % kinds.length]!;
    const note = (text: string): void => onFinding(`server, ${kind} in ${request.name}: ${text}`);
    if (kind === 'kill') row.kills += 1;
    else if (kind === 'fault') row.failures += 1;
    else row.cuts += 1;
    (await torture.run(kind, request)).forEach(note);
  }
  return row;
}

class ServerTorture {
  readonly #bench: Bench;
  readonly #random: Random;
  readonly #place: string;
  /** Of undisturbed runs: how long they take, and how many calls they make. */
  readonly #usual = new Map<string, {ms: number; calls: number}>();

  constructor(bench: Bench, random: Random) {
    this.#bench = bench;
    this.#random = random;
    this.#place = bench.at('tortured');
  }

  async run(kind: (typeof kinds)[number], request: Request): Promise<string[]> {
    const usual = await this.#measure(request);
    this.#restore();
    const texts: string[] = [];
    if (kind === 'kill') await this.#serve(request, {}, this.#random.next() * usual.ms);
    else if (kind === 'cut') await this.#cut(request);
    else {
      const at = 1 + this.#random.below(usual.calls);
      const errno = this.#random.pick([0, EIO, ENOSPC, EMFILE, ECONNRESET]);
      const fault = {at, errno, goesOn: errno === ENOSPC};
      const {server} = await this.#serve(request, this.#bench.faultEnvironment(fault, this.#trace()));
      if (server.includes('InternalError')) texts.push(`at call ${at}, errno ${errno}: ${server}`);
    }
    texts.push(...this.#check(false));
    const {client} = await this.#serve(request, {});
    if (!client || !request.endsWell(client))
      texts.push(`the next request: ${client?.stderr ?? 'no server'}`);
    return [...texts, ...this.#check(true)];
  }

  async #measure(request: Request): Promise<{ms: number; calls: number}> {
    const known = this.#usual.get(request.name);
    if (known) return known;
    this.#restore();
    const fault: Fault = {at: 0, errno: 0};
    const begin = performance.now();
    await this.#serve(request, this.#bench.faultEnvironment(fault, this.#trace()));
    const calls = readFileSync(this.#trace(), 'utf8').split('\n').length - 1;
    const measured = {ms: performance.now() - begin, calls};
    this.#usual.set(request.name, measured);
    return measured;
  }

  #trace(): string {
    return `${this.#bench.world.directory}.trace`;
  }

  /** Two images, as the bench's own server has them. */
  #restore(): void {
    rmSync(this.#trace(), {force: true});
    rmSync(this.#place, {recursive: true, force: true});
    spawnSync('cp', ['-a', this.#bench.at('server'), this.#place]);
    rmSync(`${this.#place}/images/${fresh}`, {recursive: true, force: true});
  }

  /** One server for one request; killed after a while, or ended when the client has. */
  async #serve(
    request: Request,
    more: NodeJS.ProcessEnv,
    killAfterMs?: number,
  ): Promise<{client: Outcome | undefined; server: string}> {
    const {env, directory} = this.#bench.world;
    const server = spawn('imgctl', ['serve', '--listen', '127.0.0.1:0', this.#place], {
      env: {...env, ...more},
      cwd: directory,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    server.stderr.on('data', (chunk) => {
      said += chunk;
    });
    const ended = new Promise((resolve) => server.on('close', resolve));
    const killing =
      killAfterMs === undefined ? undefined : sleep(killAfterMs).then(() => server.kill('SIGKILL'));
    const url = await addressOf(server);
    const client =
      url === undefined
        ? undefined
        : await this.#bench.world.runWhile(
            ['--retries', '0', ...request.args(this.#bench, url)],
            async () => undefined,
          );
    await killing;
    server.kill('SIGTERM');
    await ended;
    return {client, server: said};
  }

  async #cut(request: Request): Promise<void> {
    const before = {tortured: takeSnapshot(this.#place)};
    const log = `${this.#bench.world.directory}.log`;
    await this.#serve(request, this.#bench.recordingEnvironment(log));
    const calls = parseLog(readFileSync(log));
    rmSync(log);
    const model = new DiskModel(before);
    for (const call of calls.slice(0, this.#random.below(calls.length + 1))) model.play(call);
    model.cut(keepsBy(this.#random));
    rmSync(this.#place, {recursive: true});
    model.write('tortured', this.#place);
    if (!existsSync(this.#place)) mkdirSync(this.#place);
  }

  #check(settled: boolean): string[] {
    return this.#bench.checkServer(this.#place, {settled});
  }
}

/** Undefined when it ended before it listened. */
function addressOf(server: ChildProcess): Promise<string | undefined> {
  return new Promise((resolve) => {
    let text = '';
    server.stdout?.on('data', (chunk) => {
      text += chunk;
      const found = / on (http\S+)\n/.exec(text)?.[1];
      if (found) resolve(found);
    });
    server.on('close', () => resolve(undefined));
  });
}
