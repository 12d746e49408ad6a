/** Transcripts as test/golden/README.md has them: replayed by a shell, with what differs from run to run masked. */

import {type ChildProcess, spawn, spawnSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, readFileSync, rmSync} from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const bin = path.join(import.meta.dirname, '../../bin');
const prelude = path.join(import.meta.dirname, '../golden/prelude.sh');

export interface World {
  directory: string;
  url: string;
  server: ChildProcess;
  env: NodeJS.ProcessEnv;
}

/** An empty root, and an image server that holds nothing. */
export async function makeWorld(): Promise<World> {
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

export function endWorld(world: World): void {
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

function runLine(command: string, world: World, words: string): string[] {
  const functions = readFileSync(prelude, 'utf8');
  const result = spawnSync('sh', ['-c', `${functions}\n${words}\n${command}`], {
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

/** The script with what came in place of what was expected. `words` are functions it may use besides the prelude's. */
export function replay(script: string, world: World, words = ''): string {
  const output: string[] = [];
  for (const line of script.split('\n')) {
    if (line.startsWith('$ ')) output.push(line, ...runLine(line.slice(2), world, words));
    else if (line.startsWith('#') || line === '') output.push(line);
  }
  return output.join('\n');
}

/** Expectations carry no blank lines of their own, so blank lines stay where the author put them. */
export function tidy(text: string): string {
  return text.replace(/\n{2,}/g, '\n\n').trimEnd();
}
