/** Runs the transcripts of this folder; README.md here says how they are written. */

import {type ChildProcess, spawn, spawnSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {expect, test} from 'vitest';

const here = import.meta.dirname;
const bin = path.join(here, '../../bin');
const isUpdate = process.env.IMGCTL_UPDATE_GOLDEN === '1';

interface World {
  directory: string;
  url: string;
  server: ChildProcess;
  env: NodeJS.ProcessEnv;
}

async function makeWorld(): Promise<World> {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'imgctl-golden.'));
  mkdirSync(path.join(directory, 'server'));
  const env: NodeJS.ProcessEnv = {
    PATH: `${bin}:${process.env.PATH}`,
    HOME: directory,
    LC_ALL: 'C.UTF-8',
    TZ: 'UTC',
    W: directory,
    IMGCTL_ROOT: path.join(directory, 'root'),
  };
  const server = spawn('imgctl', ['serve', '--listen', '127.0.0.1:0', path.join(directory, 'server')], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const url = await new Promise<string>((resolve, reject) => {
    let text = '';
    server.stdout?.on('data', (chunk) => {
      text += chunk;
      const found = / on (http\S+)\n/.exec(text);
      if (found?.[1]) resolve(found[1]);
    });
    server.on('exit', (status) => reject(new Error(`imgctl serve ended with ${status}: ${text}`)));
  });
  return {directory, url, server, env: {...env, URL: url}};
}

function endWorld(world: World): void {
  world.server.kill('SIGTERM');
  spawnSync('chattr', ['-R', '-f', '-i', world.directory]);
  rmSync(world.directory, {recursive: true, force: true});
}

/** What differs from run to run. */
function mask(text: string, world: World): string {
  return text
    .replaceAll(world.url, '$URL')
    .replaceAll(world.url.replace('http://', ''), '$ADDRESS')
    .replaceAll(world.directory, '$W')
    .replace(
      /"req_id":"[0-9a-f-]{36}","hostname":"[^"]*","pid":\d+/g,
      '"req_id":"<ID>","hostname":"<HOST>","pid":<PID>',
    )
    .replace(/"stack":"(?:[^"\\]|\\.)*"/g, '"stack":"<STACK>"')
    .replace(/"time":"[^"]*"/g, '"time":"<TIME>"')
    .replace(/\d+(?:\.\d+)? [KMGT]?i?B\/s/g, '<RATE>');
}

function runLine(command: string, world: World): string[] {
  const prelude = readFileSync(path.join(here, 'prelude.sh'), 'utf8');
  const result = spawnSync('sh', ['-c', `${prelude}\n${command}`], {
    cwd: world.directory,
    env: world.env,
    encoding: 'utf8',
    timeout: 50_000,
  });
  const lines = mask(result.stdout, world).split('\n').slice(0, -1);
  const complaints = mask(result.stderr, world).split('\n').slice(0, -1);
  lines.push(...complaints.map((line) => `» ${line}`));
  if (result.status !== 0) lines.push(`[exit ${result.status ?? result.signal}]`);
  return lines;
}

function replay(script: string, world: World): string {
  const output: string[] = [];
  for (const line of script.split('\n')) {
    if (line.startsWith('$ ')) output.push(line, ...runLine(line.slice(2), world));
    else if (line.startsWith('#') || line === '') output.push(line);
  }
  return output.join('\n');
}

/** Expectations carry no blank lines of their own, so blank lines stay where the author put them. */
function tidy(text: string): string {
  return text.replace(/\n{2,}/g, '\n\n').trimEnd();
}

for (const name of readdirSync(here)
  .filter((entry) => entry.endsWith('.txt'))
  .sort()) {
  test(`golden: ${name}`, {timeout: 120_000}, async () => {
    const file = path.join(here, name);
    const script = readFileSync(file, 'utf8');
    const world = await makeWorld();
    try {
      const actual = tidy(replay(script, world));
      if (isUpdate) writeFileSync(file, `${actual}\n`);
      else expect(actual).toBe(tidy(script));
    } finally {
      endWorld(world);
    }
  });
}
