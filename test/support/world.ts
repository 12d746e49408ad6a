/** A throw-away host: an empty root, a server over a directory, and the built programs. */

import {type ChildProcess, spawn, spawnSync} from 'node:child_process';
import {createHash, randomUUID} from 'node:crypto';
import {mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const bin = path.join(import.meta.dirname, '../../bin');

export interface Outcome {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface PublishedImage {
  uuid: string;
  sizeBytes: number;
}

export class World {
  readonly directory = mkdtempSync(path.join(os.tmpdir(), 'imgctl-world.'));
  readonly root = path.join(this.directory, 'root');
  readonly env: NodeJS.ProcessEnv = {
    PATH: `${bin}:${process.env.PATH}`,
    HOME: this.directory,
    LC_ALL: 'C.UTF-8',
    IMGCTL_ROOT: this.root,
  };
  url = '';
  #server: ChildProcess | undefined;

  /** Starts `imgctl serve` and makes it the only source. */
  async start(): Promise<this> {
    const server = this.spawn(['serve', '--listen', '127.0.0.1:0', path.join(this.directory, 'server')]);
    this.#server = server;
    this.url = await new Promise<string>((resolve, reject) => {
      let text = '';
      server.stdout?.on('data', (chunk) => {
        text += chunk;
        const found = / on (http\S+)\n/.exec(text)?.[1];
        if (found) resolve(found);
      });
      server.on('exit', (status) => reject(new Error(`imgctl serve ended with ${status}: ${text}`)));
    });
    this.useSources([this.url]);
    return this;
  }

  useSources(urls: readonly string[]): void {
    this.configure({sources: urls.map((url) => ({url, type: 'imgapi'}))});
  }

  configure(configuration: object): void {
    mkdirSync(path.join(this.root, 'etc/imgctl'), {recursive: true});
    writeFileSync(path.join(this.root, 'etc/imgctl/config.json'), JSON.stringify(configuration));
  }

  spawn(args: readonly string[], program = 'imgctl'): ChildProcess {
    return spawn(program, [...args], {env: this.env, cwd: this.directory, stdio: ['ignore', 'pipe', 'pipe']});
  }

  run(args: readonly string[], program = 'imgctl'): Outcome {
    const result = spawnSync(program, [...args], {
      env: this.env,
      cwd: this.directory,
      encoding: 'utf8',
      timeout: 100_000,
    });
    return {status: result.status, signal: result.signal, stdout: result.stdout, stderr: result.stderr};
  }

  /** Runs to the end or to the kill that `meanwhile` does. */
  async runWhile(
    args: readonly string[],
    meanwhile: (child: ChildProcess) => Promise<void>,
    program = 'imgctl',
  ): Promise<Outcome> {
    const child = this.spawn(args, program);
    let stdout = '';
    let stderr = '';
    child.stdout?.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr?.on('data', (chunk) => {
      stderr += chunk;
    });
    const ended = new Promise<Outcome>((resolve) => {
      child.on('close', (status, signal) => resolve({status, signal, stdout, stderr}));
    });
    await meanwhile(child);
    return ended;
  }

  /** Publishes the bytes as an image; the manifest fits them. */
  publish(bytes: Buffer, more: Record<string, unknown> = {}): PublishedImage {
    const uuid = randomUUID();
    const file = path.join(this.directory, 'image');
    writeFileSync(file, bytes);
    const manifest = {
      v: 2,
      uuid,
      name: 'world',
      version: '1.0.0',
      type: 'other',
      os: 'linux',
      public: true,
      files: [
        {sha1: createHash('sha1').update(bytes).digest('hex'), size: bytes.length, compression: 'none'},
      ],
      ...more,
    };
    writeFileSync(`${file}.imgmanifest`, JSON.stringify(manifest));
    const outcome = this.run(['publish', '-q', '-m', `${file}.imgmanifest`, '-f', file, this.url]);
    if (outcome.status !== 0) throw new Error(`publish failed: ${outcome.stderr}`);
    return {uuid, sizeBytes: bytes.length};
  }

  /** Names in the directory of class machine, hidden and temporary ones too. */
  machines(): string[] {
    return this.names('machines');
  }

  /** Names in a class directory. */
  names(directory: string): string[] {
    return listOrNothing(path.join(this.root, 'var/lib', directory));
  }

  records(): string[] {
    return listOrNothing(path.join(this.root, 'var/lib/imgctl/records'));
  }

  installed(): string[] {
    const {stdout, stderr, status} = this.run(['list', '-H', '-o', 'uuid']);
    if (status !== 0) throw new Error(`list failed: ${stderr}`);
    return stdout.split('\n').filter((line) => line !== '');
  }

  /** Bytes of partial downloads that are kept. */
  partialBytes(): number {
    const directory = path.join(this.root, 'var/cache/imgctl/downloads');
    return listOrNothing(directory)
      .filter((name) => name.endsWith('.partial'))
      .reduce((sum, name) => sum + statSync(path.join(directory, name)).size, 0);
  }

  image(uuid: string): Buffer {
    return readFileSync(path.join(this.root, 'var/lib/machines', `${uuid}.raw`));
  }

  /** From here on the source is dead. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (server && server.exitCode === null) {
      server.removeAllListeners('exit');
      const ended = new Promise((resolve) => server.on('exit', resolve));
      server.kill('SIGTERM');
      await ended;
    }
  }

  async end(): Promise<void> {
    await this.stop();
    spawnSync('chattr', ['-R', '-f', '-i', this.directory]);
    rmSync(this.directory, {recursive: true, force: true});
  }
}

function listOrNothing(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}
