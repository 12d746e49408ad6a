/**
 * A root to torture: images with known contents on a server, states of the root that can be had again in no time, and
 * the independent check of what must hold.
 */
import {execFileSync, spawnSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {type Outcome, World} from '../support/world.ts';
import type {Operation, StateName} from './operations.ts';

/** Images: a tree, a disk, and one that is only offered. */
export const tree = 'aaaaaaaa-1111-4000-8000-000000000001';
export const disk = 'aaaaaaaa-1111-4000-8000-000000000002';
export const offered = 'aaaaaaaa-1111-4000-8000-000000000003';
export const local = 'aaaaaaaa-1111-4000-8000-000000000004';
/** Not there until it is published. */
export const fresh = 'aaaaaaaa-1111-4000-8000-000000000005';

const checker = path.join(import.meta.dirname, 'check-invariants.py');

export interface Fault {
  /** Which call, from 1; 0: none, and the calls are counted. */
  at: number;
  /** 0: kill. */
  errno: number;
  /** All later ones that need space too. */
  goesOn?: boolean;
  /** In children of which the command line has this; else in the program itself. */
  within?: string | undefined;
}

export interface FaultedRun extends Outcome {
  /** The calls that were counted, and whether the fault came to pass. */
  calls: string[];
  hasFired: boolean;
}

export class Bench {
  readonly world = new World();
  readonly #faults = this.#compile('fault.c');
  readonly #recorder = this.#compile('record.c');

  /** A library to preload. */
  #compile(name: string): string {
    const library = `${this.world.directory}.${name}.so`;
    const source = path.join(import.meta.dirname, name);
    const options = ['-O2', '-Wall', '-Wextra', '-Werror', '-std=gnu11', '-shared', '-fPIC'];
    execFileSync(process.env.CC ?? 'cc', [...options, '-o', library, source, '-ldl']);
    return library;
  }

  at(name: string): string {
    return path.join(this.world.directory, name);
  }

  async open(): Promise<void> {
    const {world} = this;
    mkdirSync(this.at('tree/etc'), {recursive: true});
    mkdirSync(this.at('tree/usr/bin'), {recursive: true});
    writeFileSync(this.at('tree/etc/os-release'), 'ID=torture\n');
    writeFileSync(this.at('tree/usr/bin/tool'), Buffer.alloc(200_000, 'tool'), {mode: 0o755});
    execFileSync('chmod', ['-R', 'u=rwX,go=rX', this.at('tree')]);
    execFileSync('tar', ['-C', this.at('tree'), '-czf', this.at('tree.tar.gz'), '.']);
    for (const [name, fill] of [
      ['disk', 'disk image '],
      ['offered', 'another one '],
      ['local', 'a third one '],
      ['fresh', 'a new one '],
    ] as const)
      writeFileSync(this.at(`${name}.raw`), Buffer.alloc(300_000, fill));
    await world.start();
    this.#publish(tree, 'tree.tar.gz', 'gzip');
    for (const [uuid, file] of [
      [disk, 'disk.raw'],
      [offered, 'offered.raw'],
    ] as const)
      this.#publish(uuid, file, 'none');
    this.#writeManifest(local, 'local.raw', 'none');
    this.#writeManifest(fresh, 'fresh.raw', 'none');
    this.#prepareOld();
    this.#save('empty');
    for (const args of [
      ['import', '-q', tree],
      ['import', '-q', disk],
      ['clone', tree, 'inst'],
    ])
      this.#must(args);
    this.#save('full');
    // What update finds.
    this.#must(['server', 'update', world.url, disk, 'description=newer'], true);
  }

  /** Everything as the operation finds it. */
  begin(operation: Operation): void {
    this.restore(operation.state);
    operation.prepare?.(this);
  }

  /** The state of before, as if nothing had happened. */
  restore(state: StateName): void {
    this.clear();
    mkdirSync(this.at('out'));
    execFileSync('cp', ['-a', this.at(`state-${state}`), this.world.root]);
  }

  /** Neither a root nor what was put out. */
  clear(): void {
    spawnSync('chattr', ['-R', '-f', '-i', this.world.root]);
    rmSync(this.world.root, {recursive: true, force: true});
    rmSync(this.at('out'), {recursive: true, force: true});
  }

  /** Runs, writing down what it does to files. */
  runRecorded(args: readonly string[], log: string): Outcome {
    const {world} = this;
    const env = {...world.env, ...this.recordingEnvironment(log)};
    const result = spawnSync('imgctl', [...args], {
      env,
      cwd: world.directory,
      encoding: 'utf8',
      timeout: 60_000,
    });
    const {status, signal, stdout, stderr} = result;
    return {status, signal, stdout, stderr};
  }

  /** What puts the fault library in front; its calls go to the file `trace`. */
  faultEnvironment({at, errno, goesOn, within}: Fault, trace: string): NodeJS.ProcessEnv {
    return {
      LD_PRELOAD: this.#faults,
      FAULT_ROOT: this.world.directory,
      FAULT_AT: String(at),
      FAULT_ERRNO: String(errno),
      FAULT_FROM: goesOn ? '1' : '0',
      FAULT_TRACE: trace,
      ...(within === undefined ? {} : {FAULT_IN: within}),
    };
  }

  recordingEnvironment(log: string): NodeJS.ProcessEnv {
    return {LD_PRELOAD: this.#recorder, RECORD_ROOT: this.world.directory, RECORD_LOG: log};
  }

  /** Runs with the fault library in front. */
  run(args: readonly string[], fault: Fault): FaultedRun {
    const {world} = this;
    const trace = this.at('../').concat(`${path.basename(world.directory)}.trace`);
    rmSync(trace, {force: true});
    const env = {...world.env, ...this.faultEnvironment(fault, trace)};
    const result = spawnSync('imgctl', [...args], {
      env,
      cwd: world.directory,
      encoding: 'utf8',
      timeout: 60_000,
      killSignal: 'SIGKILL',
    });
    const calls = existsSync(trace) ? readFileSync(trace, 'utf8').split('\n').slice(0, -1) : [];
    rmSync(trace, {force: true});
    const {status, signal, stdout, stderr} = result;
    return {status, signal, stdout, stderr, calls, hasFired: calls.some((call) => /^\d+! /.test(call))};
  }

  /** What does not hold, a line each. */
  check({settled, isCut = false}: {settled: boolean; isCut?: boolean}): string[] {
    const images = [
      `${tree}=${this.at('tree')}`,
      ...[`${disk}=disk.raw`, `${offered}=offered.raw`, `${local}=local.raw`].map((text) =>
        text.replace('=', `=${this.world.directory}/`),
      ),
    ];
    const args = [this.world.root, ...images.flatMap((image) => ['--image', image]), '--pulled', 'pulled'];
    return runChecker([...args, ...(settled ? ['--settled'] : []), ...(isCut ? ['--cut'] : [])]);
  }

  /** The same of an image server's directory. */
  checkServer(directory: string, {settled}: {settled: boolean}): string[] {
    return runChecker(['--server', directory, ...(settled ? ['--settled'] : [])]);
  }

  /** Nothing that was started here runs on; what was killed takes the kernel a moment. */
  async untilQuiet(): Promise<string[]> {
    for (let left = 200; left > 0; left--) {
      if (this.#processes() === '') return [];
      await sleep(25);
    }
    return [`still running: ${this.#processes()}`];
  }

  /** Those of this root, by argument or environment. */
  #processes(): string {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
      .map((pid) => ({
        pid,
        command: readOr(`/proc/${pid}/cmdline`),
        environment: readOr(`/proc/${pid}/environ`),
      }))
      .filter(({command}) => command !== '' && !/\bserve\b/.test(command))
      .filter(({command, environment}) => `${command}${environment}`.includes(this.world.directory))
      .map(({pid, command}) => `${pid} ${command.replaceAll('\0', ' ')}`)
      .join('; ');
  }

  async close(): Promise<void> {
    for (const library of [this.#faults, this.#recorder]) rmSync(library, {force: true});
    await this.world.end();
  }

  #must(args: readonly string[], isOptional = false): void {
    const outcome = this.world.run(args);
    if (outcome.status !== 0 && !isOptional)
      throw new Error(`${args.join(' ')} failed: ${outcome.stdout}${outcome.stderr}`);
  }

  #save(state: StateName): void {
    spawnSync('chattr', ['-R', '-f', '-i', this.world.root]);
    execFileSync('cp', ['-a', this.world.root, this.at(`saving-${state}`)]);
    renameSync(this.at(`saving-${state}`), this.at(`state-${state}`));
  }

  #writeManifest(uuid: string, file: string, compression: string): string {
    const bytes = readFileSync(this.at(file));
    const sha1 = createHash('sha1').update(bytes).digest('hex');
    const manifest = {
      ...{v: 2, uuid, name: `torture-${uuid.slice(-1)}`, version: '1.0.0', type: 'other', os: 'linux'},
      ...{public: true, files: [{sha1, size: bytes.length, compression}]},
    };
    const place = this.at(`${file}.imgmanifest`);
    writeFileSync(place, JSON.stringify(manifest));
    return place;
  }

  #publish(uuid: string, file: string, compression: string): void {
    const manifest = this.#writeManifest(uuid, file, compression);
    this.#must(['publish', '-q', '-m', manifest, '-f', this.at(file), this.world.url]);
  }

  /** What an imgadm of SmartOS has left, naming an image that is offered here. */
  #prepareOld(): void {
    const manifest = JSON.parse(readFileSync(this.at('offered.raw.imgmanifest'), 'utf8'));
    mkdirSync(this.at('old/images'), {recursive: true});
    writeFileSync(
      this.at('old/imgadm.conf'),
      JSON.stringify({sources: [{url: this.world.url, type: 'imgapi'}]}),
    );
    writeFileSync(
      this.at(`old/images/zones-${offered}.json`),
      JSON.stringify({manifest, zpool: 'zones', source: this.world.url}),
    );
  }
}

/** A process may be gone at any time. */
function readOr(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

function runChecker(args: readonly string[]): string[] {
  const {status, stdout, stderr} = spawnSync('/usr/bin/python3', [checker, ...args], {encoding: 'utf8'});
  if (status === 0) return [];
  return stdout === '' ? [`the check failed: ${stderr}`] : stdout.trimEnd().split('\n');
}
