/**
 * One import into a pool of type zfs: file → stream child → `zfs recv` into a dataset of a temporary name → record →
 * `zfs rename`. Nothing of the stream decides where it is mounted, and an image is not mounted at all.
 */
import {PassThrough, type Readable} from 'node:stream';
import {pipeline} from 'node:stream/promises';
import {ImgctlError} from '../../errors.ts';
import type {DecompressLimits} from '../../formats/decompress.ts';
import {otherOrigin} from '../../formats/zfs-stream/zfs-errors.ts';
import type {FileLock} from '../../sys/lock.ts';
import type {RunningProcess} from '../../sys/run.ts';
import {runChild} from '../embedded/child-process.ts';
import type {ChildMessage} from '../embedded/child-protocol.ts';
import type {JobListener} from '../embedded/import-job.ts';
import type {Sandbox} from '../embedded/sandbox.ts';
import type {ImportRequest, TransferResult} from '../engine.ts';
import {finalOf} from './dataset-names.ts';
import {columnsOf, endOf, runZfs, startZfs, zfsFailure} from './run-zfs.ts';
import type {StreamTask} from './stream-task.ts';

export interface ReceiveOptions {
  request: ImportRequest;
  /** The open file. */
  source: number;
  /** Where the image will be, and where it is made. */
  dataset: string;
  temporary: string;
  /** Held while the temporary dataset is ours; zfs keeps it when this process is killed. */
  lock: FileLock;
  sandbox: Sandbox;
  limits: DecompressLimits;
  signal: AbortSignal;
}

type StreamFacts = ChildMessage & {type: 'zfs'};

export async function receiveImage(options: ReceiveOptions, listener: JobListener): Promise<TransferResult> {
  const {request, dataset, temporary, signal} = options;
  const {localName, origin} = request;
  const {kind} = await receiveStream(options, listener);
  await checkReceived(temporary, localName);
  if (!request.readOnly) await runZfs(['set', 'readonly=off', temporary], `Making "${localName}" writable`);
  await request.beforeCommit?.({});
  signal.throwIfAborted();
  await runZfs(['rename', temporary, dataset], `Naming "${dataset}"`);
  listener.reportProgress(1);
  const over = origin ? ` over "${origin.localName}"` : '';
  listener.reportLog(6, `Received "${finalOf(dataset)}"${over}.`);
  return {path: dataset, format: kind === 'volume' ? 'raw' : 'directory', notices: []};
}

/** Both ends run at once; the error of the one that failed first by itself is told. */
async function receiveStream(options: ReceiveOptions, listener: JobListener): Promise<StreamFacts> {
  const {sandbox, limits, source, signal} = options;
  const stop = new AbortController();
  const facts = Promise.withResolvers<StreamFacts>();
  let stream: Readable | undefined;
  const task: StreamTask = {mode: 'decode', limits};
  const decoding = runChild({
    name: 'stream-child',
    task,
    sandbox,
    wrap: {target: undefined, capabilities: []},
    descriptors: {stdin: source, descriptors: ['pipe']},
    signal: AbortSignal.any([signal, stop.signal]),
    onStart: (child) => {
      stream = bufferOf(child);
    },
    onMessage: (message) => {
      if (message.type === 'zfs') facts.resolve(message);
      if (message.type === 'progress') listener.reportProgress(message.fraction);
    },
  });
  decoding.catch((error: unknown) => facts.reject(error));
  try {
    const found = await facts.promise;
    const base = await originSnapshot(found, options);
    if (!stream) throw new Error('The stream child was started without a pipe');
    const received = receive({...options, kind: found.kind, base, stream}).catch((error: unknown) => {
      stop.abort();
      throw error;
    });
    const outcomes = await Promise.allSettled([decoding, received]);
    throwFirst(outcomes);
    return found;
  } catch (error) {
    stop.abort();
    stream?.destroy(); // a child is not over while its pipe holds what nobody reads
    await decoding.catch(() => undefined); // what made it fail is thrown already
    throw error;
  }
}

/** Read from the start: what a child leaves in a pipe that nobody reads is thrown away when it ends. */
function bufferOf({pipes: [pipe]}: RunningProcess): Readable | undefined {
  if (!pipe) return undefined;
  const buffer = new PassThrough();
  pipeline(pipe, buffer).catch(() => undefined); // who reads the buffer hears of it
  return buffer;
}

/** The decoder says best what is wrong with a stream, unless it was ended or has lost its reader. */
function throwFirst([decoding, received]: [
  PromiseSettledResult<unknown>,
  PromiseSettledResult<unknown>,
]): void {
  if (decoding.status === 'rejected' && isOwn(decoding.reason)) throw decoding.reason;
  if (received.status === 'rejected') throw received.reason;
  if (decoding.status === 'rejected') throw decoding.reason;
}

function isOwn(error: unknown): boolean {
  return error instanceof ImgctlError && error.code !== 'InternalError' && error.details?.errno !== 'EPIPE';
}

interface ReceiveOrder extends ReceiveOptions {
  kind: StreamFacts['kind'];
  base: string | undefined;
  stream: Readable;
}

/** Arguments of zfs. An image is not mounted, and its disk has no device: what is used are clones of it. */
export function receiveArguments(
  kind: StreamFacts['kind'],
  snapshot: string,
  base: string | undefined,
): string[] {
  const hidden = kind === 'volume' ? 'volmode=none' : 'canmount=noauto';
  const origin = base === undefined ? [] : ['-o', `origin=${base}`];
  return ['recv', '-u', '-o', 'readonly=on', '-o', hidden, ...origin, snapshot];
}

async function receive({kind, base, stream, temporary, lock, signal, request}: ReceiveOrder): Promise<void> {
  const attempted = `Receiving image "${request.localName}"`;
  const zfs = startZfs(receiveArguments(kind, finalOf(temporary), base), {
    stdin: 'pipe',
    descriptors: [lock.fd],
    signal,
  });
  // Zfs leaves at the end record, without waiting for the end of the pipe; of a broken pipe its own words say why.
  const fed = zfs.stdin && pipeline(stream, zfs.stdin).catch(() => undefined);
  const [end] = await Promise.all([endOf(zfs), fed]);
  if (signal.aborted) throw new ImgctlError('Interrupted', `${attempted} was interrupted`);
  if (end.exitCode !== 0) throw zfsFailure(end, attempted);
}

/** The snapshot that changes go over. By its GUID: names say nothing (spec/zfs-send-stream.md §4). */
async function originSnapshot(
  {fromGuid}: StreamFacts,
  {request: {origin, store}}: ReceiveOptions,
): Promise<string | undefined> {
  if (fromGuid === undefined) return undefined;
  if (!origin) throw otherOrigin(fromGuid, undefined);
  if (origin.store.dataset === undefined || origin.store.dataset !== store.dataset) {
    throw new ImgctlError(
      'OriginNotInstalled',
      `The ZFS stream holds only what changed since its origin, which is not in "${store.dataset}"`,
      {hint: 'Import it into the pool where its origin is (-P)'},
    );
  }
  const snapshot = finalOf(`${origin.store.dataset}/${origin.localName}`);
  const guid = await runZfs(['get', '-H', '-p', '-o', 'value', 'guid', snapshot], `Looking at "${snapshot}"`);
  if (guid.trim() === fromGuid) return snapshot;
  throw otherOrigin(fromGuid, guid.trim());
}

/** One dataset with one snapshot, whatever the stream made zfs do. */
async function checkReceived(temporary: string, name: string): Promise<void> {
  const text = await runZfs(
    ['list', '-H', '-r', '-t', 'all', '-o', 'name', temporary],
    `Looking at what was received for "${name}"`,
  );
  const found = columnsOf(text).map(([each = '']) => each);
  const snapshots = found.filter((each) => each.includes('@'));
  if (found.length === 2 && snapshots.length === 1 && snapshots[0] === finalOf(temporary)) return;
  throw new ImgctlError(
    'UnexpectedNumberOfSnapshots',
    `image "${name}" has an unexpected number of snapshots (${snapshots.length})`,
  );
}
