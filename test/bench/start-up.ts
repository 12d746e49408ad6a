/**
 * Times of the built program, printed and never asserted: start-up, with the launcher and in units of an empty Node
 * start, and listings of a source with ten thousand images. `node test/bench/start-up.ts [RUNS]`.
 */
import {type ChildProcess, spawn, spawnSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {once} from 'node:events';
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';

const imageCount = 10_000;
const program = path.join(import.meta.dirname, '../../bin/imgctl');
const runs = Number(process.argv[2] ?? 15);
const directory = mkdtempSync(path.join(tmpdir(), 'imgctl-bench-'));
const env = {PATH: process.env.PATH, HOME: directory, LC_ALL: 'C.UTF-8', IMGCTL_ROOT: directory};

function timeOf(command: string, args: string[]): number {
  const start = performance.now();
  const {status, stderr} = spawnSync(command, args, {env, encoding: 'utf8', maxBuffer: 1 << 27});
  const elapsedMs = performance.now() - start;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}: ${stderr}`);
  return elapsedMs;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

function print(what: string, elapsedMs: number, remark = ''): void {
  console.log(`${what.padEnd(34)}${elapsedMs.toFixed(0).padStart(6)} ms${remark && `  ${remark}`}`);
}

/** Turns take turns, so that what else the machine does hits all alike. */
function benchStart(): void {
  const empty = path.join(directory, 'empty.mjs');
  writeFileSync(empty, '');
  const lines: [name: string, command: string, args: string[]][] = [
    ['empty Node', process.execPath, [empty]],
    ...['--version', 'sources', 'list', 'help'].map((name): [string, string, string[]] => [
      `imgctl ${name}`,
      program,
      [name],
    ]),
  ];
  const times = lines.map((): number[] => []);
  for (let run = 0; run < runs; run += 1) {
    for (const [index, [, command, args]] of lines.entries()) times[index]?.push(timeOf(command, args));
  }
  const unitMs = median(times[0] ?? []);
  for (const [index, [name]] of lines.entries()) {
    const elapsedMs = median(times[index] ?? []);
    print(name, elapsedMs, `${(elapsedMs / unitMs).toFixed(2)} empty Node starts`);
  }
}

function writeImages(): string {
  const server = path.join(directory, 'server');
  const bytes = Buffer.from('the file of an image');
  const sha1 = createHash('sha1').update(bytes).digest('hex');
  for (let index = 0; index < imageCount; index += 1) {
    const uuid = `bbbbbbbb-1111-4000-8000-${String(index).padStart(12, '0')}`;
    const manifest = {
      v: 2,
      uuid,
      name: `image-${index}`,
      version: '1.0.0',
      type: 'other',
      os: 'linux',
      public: true,
      state: 'active',
      published_at: new Date(1_600_000_000_000 + index * 1000).toISOString(),
      description: 'An image of which there are many, described in a sentence or two. '.repeat(3),
      files: [{sha1, size: bytes.length, compression: 'none'}],
    };
    mkdirSync(path.join(server, 'images', uuid), {recursive: true});
    writeFileSync(path.join(server, 'images', uuid, 'manifest.json'), JSON.stringify(manifest));
    writeFileSync(path.join(server, 'images', uuid, 'file'), bytes);
  }
  return server;
}

async function startServer(): Promise<{child: ChildProcess; url: string}> {
  const child = spawn(program, ['serve', '--listen', '127.0.0.1:0', writeImages()], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const url = /http:\S+/.exec(line.toString())?.[0] ?? '';
  mkdirSync(path.join(directory, 'etc/imgctl'), {recursive: true});
  writeFileSync(path.join(directory, 'etc/imgctl/config.json'), JSON.stringify({sources: [{url}]}));
  return {child, url};
}

async function benchListing(): Promise<void> {
  const {child, url} = await startServer();
  try {
    const ask = async (): Promise<number> => {
      const start = performance.now();
      await (await fetch(`${url}/images`)).arrayBuffer();
      return performance.now() - start;
    };
    print(`first listing of ${imageCount} images`, await ask(), 'the server alone');
    const serverMs = await ask();
    print('listing', serverMs, 'the server alone');
    const firstMs = timeOf(program, ['avail']);
    print('imgctl avail, first', firstMs, `${(firstMs - serverMs).toFixed(0)} ms above the server`);
    print('imgctl avail, again', timeOf(program, ['avail']), 'the source says that nothing changed');
    print('imgctl --offline avail', timeOf(program, ['--offline', 'avail']));
    print('imgctl avail -j', timeOf(program, ['avail', '-j']));
  } finally {
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
}

try {
  benchStart();
  await benchListing();
} finally {
  rmSync(directory, {recursive: true, force: true});
}
