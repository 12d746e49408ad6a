/**
 * `imgctl serve` against nginx: the same file to many clients at once, by turns, on loopback. `node serve.ts [--rounds N]
 * [--only REGEX] [--json FILE]`.
 */
import {type ChildProcess, execFileSync, spawn} from 'node:child_process';
import {createHash} from 'node:crypto';
import {once} from 'node:events';
import {linkSync, mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {connect} from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {parseArgs} from 'node:util';
import {median} from './median.ts';
import {type ServeResult, serveTable} from './serve-table.ts';

const {values} = parseArgs({
  options: {
    rounds: {type: 'string', default: '5'},
    only: {type: 'string', default: '.'},
    json: {type: 'string'},
  },
});
const goal = 0.8;
const fileBytes = 64 * 1024 ** 2;
const seconds = 5;
const program = path.join(import.meta.dirname, '../../bin/imgctl');
const directory = mkdtempSync(path.join(tmpdir(), 'imgctl-bench-'));
const uuid = 'bbbbbbbb-1111-4000-8000-000000000001';

interface Server {
  url: string;
  process: ChildProcess;
}

function writeFiles(): void {
  const bytes = Buffer.alloc(fileBytes);
  for (let position = 0, value = 1; position < fileBytes; position += 4) {
    value = (Math.imul(value, 1664525) + 1013904223) >>> 0;
    bytes.writeUInt32LE(value, position);
  }
  const manifest = {
    ...{v: 2, uuid, name: 'served', version: '1', type: 'other', os: 'linux', public: true, state: 'active'},
    published_at: '2026-01-01T00:00:00.000Z',
    files: [{sha1: createHash('sha1').update(bytes).digest('hex'), size: fileBytes, compression: 'none'}],
  };
  const image = path.join(directory, 'images', uuid);
  mkdirSync(image, {recursive: true});
  writeFileSync(path.join(image, 'manifest.json'), JSON.stringify(manifest));
  writeFileSync(path.join(image, 'file'), bytes);
  mkdirSync(path.join(directory, 'www'));
  linkSync(path.join(image, 'file'), path.join(directory, 'www/file'));
}

async function startImgctl(): Promise<Server> {
  const child = spawn(program, ['serve', '--listen', '127.0.0.1:0', directory], {
    env: {...process.env, IMGCTL_ROOT: path.join(directory, 'root')},
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return {url: `${/http:\S+/.exec(line.toString())?.[0]}/images/${uuid}/file`, process: child};
}

/** As Debian sets it up: a worker for each processor, and files sent by the kernel. */
async function startNginx(): Promise<Server> {
  const port = 18_080;
  const configuration = path.join(directory, 'nginx.conf');
  writeFileSync(
    configuration,
    `daemon off; user root; worker_processes auto; pid ${directory}/nginx.pid; error_log ${directory}/nginx.log;
events { worker_connections 768; }
http { access_log off; sendfile on; tcp_nopush on; server { listen 127.0.0.1:${port}; root ${directory}/www; } }
`,
  );
  const child = spawn('nginx', ['-c', configuration, '-p', directory], {
    env: {...process.env, PATH: `${process.env.PATH}:/usr/sbin`},
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  while (!(await answers(port))) if (child.exitCode !== null) throw new Error('nginx did not start');
  return {url: `http://127.0.0.1:${port}/file`, process: child};
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket.end() !== undefined));
    socket.once('error', () => setTimeout(() => resolve(false), 20));
  });
}

function load(url: string, clients: number): {bytesPerSecond: number; failures: number} {
  const said = execFileSync(
    'wrk',
    ['-t', '1', '-c', String(clients), '-d', `${seconds}s`, '--timeout', '60s', url],
    {encoding: 'utf8'},
  );
  const [, amount, unit = ''] = /Transfer\/sec:\s+([\d.]+)([KMG]?)B/.exec(said) ?? [];
  const [, ...errors] = /connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(said) ?? [];
  const refused = Number(/Non-2xx or 3xx responses: (\d+)/.exec(said)?.[1] ?? 0);
  return {
    bytesPerSecond: Number(amount) * 1024 ** ' KMG'.indexOf(unit || ' '),
    failures: errors.reduce((sum, text) => sum + Number(text), refused),
  };
}

async function bench(): Promise<ServeResult[]> {
  writeFiles();
  const servers = {imgctl: await startImgctl(), nginx: await startNginx()};
  try {
    return [1, 200].map((clients) => {
      const seen = {imgctl: [] as number[], nginx: [] as number[]};
      let failures = 0;
      for (let round = 0; round < Number(values.rounds); round++)
        for (const name of round % 2 === 0
          ? (['imgctl', 'nginx'] as const)
          : (['nginx', 'imgctl'] as const)) {
          const outcome = load(servers[name].url, clients);
          seen[name].push(outcome.bytesPerSecond);
          if (name === 'imgctl') failures += outcome.failures;
        }
      const [imgctl, nginx] = [median(seen.imgctl), median(seen.nginx)];
      return {clients, imgctl, nginx, ratio: imgctl / nginx, goal, failures};
    });
  } finally {
    for (const server of Object.values(servers)) {
      server.process.kill();
      await once(server.process, 'exit');
    }
  }
}

try {
  if (new RegExp(values.only).test('serve')) {
    const results = await bench();
    process.stdout.write(`${serveTable(results)}\n\n`);
    if (values.json) writeFileSync(values.json, JSON.stringify(results));
  }
} finally {
  rmSync(directory, {recursive: true});
}
