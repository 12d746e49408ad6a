/**
 * Runs a prepare script in a throw-away copy of an instance and hands the copy on (spec/imgadm.md §9.3, spec/mdata.md).
 * The instance is only read. The copy lies in a staging directory beside it and is gone afterwards; what a killed
 * process left there is swept by the next.
 */
import {randomBytes, randomInt, randomUUID} from 'node:crypto';
import {chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {setTimeout as wait} from 'node:timers/promises';
import {errnoOf} from '../../errors.ts';
import {copyImage} from '../../sys/copy-image.ts';
import type {ProcessEnd, RunningProcess} from '../../sys/run.ts';
import {makeStaging, type Staging, stagedSide, stagedTree, sweepStaging} from '../../sys/staging.ts';
import {MetadataServer} from '../metadata/server.ts';
import {MetadataStore} from '../metadata/store.ts';
import {writeClients} from './clients.ts';
import {isMappingRefused, requireContainers, startContainer} from './container.ts';
import {didNotRun, errorKey, prepareFailed, stateKey, waitForState} from './outcome.ts';

export interface PrepareRequest {
  name: string;
  /** Its directory or disk. */
  path: string;
  isDisk: boolean;
  /** The copy must then be a snapshot of one moment. */
  isRunning: boolean;
  script: Buffer;
  /** What the script may read, and change for itself. */
  metadata: Readonly<Record<string, string>>;
  hasNetwork: boolean;
  /** For the start, and again for the rest. */
  timeoutMs: number;
  signal: AbortSignal;
  onStep(line: string): void;
  onNotice(text: string): void;
}

/** Where the copy lies, as engines find images. */
export interface PreparedCopy {
  directory: string;
  localName: string;
}

/** How long a script that has succeeded may take to stop its machine; stock scripts wait 3 s. */
const stopMs = 10_000;
const killMs = 5_000;
/** Beyond the users that systemd gives to containers, and below those that some programs take for negative. */
const userRanges = {first: 0x7000_0000, count: 2048, size: 0x1_0000};
const copyName = 'side';
const pollMs = 20;

export async function withPreparedCopy<Result>(
  request: PrepareRequest,
  use: (copy: PreparedCopy) => Promise<Result>,
): Promise<Result> {
  requireContainers();
  const parent = path.dirname(request.path);
  await sweepStaging(parent);
  request.onStep(`Snapshotting VM "${request.name}" to @imgadm-create-pre-prepare`);
  const staging = makeStaging(parent, request.name);
  try {
    const copy = path.join(staging.path, request.isDisk ? `${copyName}.raw` : stagedTree);
    const {path: source, signal, isRunning} = request;
    if (isRunning) request.onNotice('it is running; the copy is a snapshot of this moment');
    for (const notice of await copyImage(source, copy, {signal, onlySnapshot: isRunning}))
      request.onNotice(notice);
    await new Preparation(request, staging, copy).run();
    return await use({directory: staging.path, localName: request.isDisk ? copyName : stagedTree});
  } finally {
    await staging.remove();
    request.onStep(`Rollback VM ${request.name} to pre-prepare snapshot (cleanup)`);
  }
}

class Preparation {
  readonly #request: PrepareRequest;
  readonly #staging: Staging;
  readonly #copy: string;

  constructor(request: PrepareRequest, staging: Staging, copy: string) {
    this.#request = request;
    this.#staging = staging;
    this.#copy = copy;
  }

  async run(): Promise<void> {
    const {script, name, onStep, onNotice} = this.#request;
    const scriptFile = this.#side('.script');
    writeFileSync(scriptFile, script);
    chmodSync(scriptFile, 0o755);
    writeClients(this.#side('.bin'));
    mkdirSync(this.#side('.mnt'));
    onStep(`Preparing VM ${name} (starting it)`);
    const {first, count, size} = userRanges;
    if ((await this.#attempt(first + randomInt(count) * size)) === 'mapping refused') {
      onNotice('the prepare script runs as root of this host: users cannot be mapped here');
      await this.#attempt(undefined);
    }
  }

  /** Rejects with what went wrong; the container and its mounts are gone in any case. */
  async #attempt(firstUserId: number | undefined): Promise<'mapping refused' | 'done'> {
    const store = this.#metadata();
    const socketDirectory = this.#side(`.md${firstUserId ?? ''}`);
    const ownerId = firstUserId ?? 0;
    mkdirSync(socketDirectory, {mode: 0o700});
    chownSync(socketDirectory, ownerId, ownerId);
    await using server = await MetadataServer.start({store, directory: socketDirectory, ownerId});
    const container = this.#start(server, socketDirectory, firstUserId);
    try {
      const started = await this.#follow(store, container);
      if (started !== 'not started') return 'done';
      const end = await stop(container, 'SIGKILL');
      this.#request.signal.throwIfAborted();
      if (firstUserId !== undefined && isMappingRefused(end)) return 'mapping refused';
      throw didNotRun(this.#request.name, end);
    } finally {
      await stop(container, 'SIGKILL');
      await this.#waitForLoop();
    }
  }

  async #follow(store: MetadataStore, container: RunningProcess): Promise<'not started' | 'done'> {
    const {name, timeoutMs, onStep, signal} = this.#request;
    const begun = await waitForState(store, container, {isEnough: (state) => state !== undefined, timeoutMs});
    if (begun !== 'reached') {
      if (begun === 'timeout') onStep('Timeout waiting for prepare-image script to signal it started');
      return 'not started';
    }
    onStep('Prepare script is running');
    const isDecided = (state: string | undefined) => state === 'success' || state === 'error';
    await waitForState(store, container, {isEnough: isDecided, timeoutMs});
    signal.throwIfAborted();
    const state = store.get(stateKey);
    if (state === 'error') throw prepareFailed(name, store.get(errorKey) ?? '');
    if (state !== 'success')
      throw prepareFailed(name, 'prepare-image script did not complete', await stop(container, 'SIGKILL'));
    onStep('Prepare script succeeded');
    await Promise.race([container.ended, wait(stopMs, undefined, {ref: false})]);
    await stop(container, 'SIGTERM');
    onStep(`Prepare script stopped VM ${name}`);
    return 'done';
  }

  #start(server: MetadataServer, socketDirectory: string, firstUserId: number | undefined): RunningProcess {
    const {name, isDisk, hasNetwork, signal} = this.#request;
    const container = startContainer({
      copy: {path: this.#copy, ...(isDisk ? {sizeBytes: statSync(this.#copy).size} : {})},
      mountPoint: this.#side('.mnt'),
      machine: `imgctl-${randomBytes(6).toString('hex')}`,
      hostname: name,
      firstUserId,
      terminalPath: server.terminalPath,
      socketDirectory,
      clientDirectory: this.#side('.bin'),
      scriptFile: this.#side('.script'),
      hasNetwork,
      signal,
    });
    container.ended.catch(() => undefined); // whoever waits sees it
    return container;
  }

  #metadata(): MetadataStore {
    const {name, script, metadata} = this.#request;
    const none = '[]';
    const fixed = {
      'sdc:operator-script': script.toString(),
      'sdc:uuid': randomUUID(),
      'sdc:hostname': name,
      'sdc:alias': name,
      'sdc:nics': none,
      'sdc:resolvers': none,
      'sdc:routes': none,
    };
    return new MetadataStore(fixed, metadata);
  }

  /** The kernel lets go of a disk a moment after the last process of its mounts is gone. */
  async #waitForLoop(): Promise<void> {
    if (!this.#request.isDisk) return;
    for (let left = killMs / pollMs; left > 0 && isOnLoop(this.#copy); left--) await wait(pollMs);
  }

  #side(suffix: string): string {
    return path.join(this.#staging.path, stagedSide(suffix));
  }
}

/** Ends it, if it has not, and waits; SIGTERM lets it finish what it holds, for a while. */
async function stop(container: RunningProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<ProcessEnd> {
  container.kill(signal);
  if (signal === 'SIGTERM') {
    await Promise.race([container.ended, wait(killMs, undefined, {ref: false})]);
    container.kill('SIGKILL');
  }
  return await container.ended;
}

function isOnLoop(file: string): boolean {
  return readdirSync('/sys/block').some((name) => {
    try {
      return readFileSync(`/sys/block/${name}/loop/backing_file`, 'utf8').trimEnd() === file;
    } catch (error) {
      if (['ENOENT', 'ENXIO', 'ENODEV'].includes(errnoOf(error) ?? '')) return false;
      throw error;
    }
  });
}
