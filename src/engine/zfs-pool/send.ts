/**
 * One export from a pool of type zfs: a snapshot of a name of its own, `zfs send`, compression in the stream child. The
 * snapshot is gone afterwards; one that a killed process left goes with the next that works in the pool.
 */
import {availableParallelism} from 'node:os';
import {PassThrough, type Readable} from 'node:stream';
import {pipeline} from 'node:stream/promises';
import {ImgctlError} from '../../errors.ts';
import type {FileLock} from '../../sys/lock.ts';
import type {RunningProcess} from '../../sys/run.ts';
import {runChild} from '../embedded/child-process.ts';
import type {JobListener} from '../embedded/import-job.ts';
import type {Sandbox} from '../embedded/sandbox.ts';
import type {ExportRequest, TransferResult} from '../engine.ts';
import {endOf, runZfs, startZfs, zfsFailure} from './run-zfs.ts';
import type {StreamTask} from './stream-task.ts';

export interface SendOptions {
  request: ExportRequest;
  /** What is sent: the snapshot is made and removed here. */
  snapshot: string;
  /** The snapshot that changes are sent from. */
  base: string | undefined;
  lock: FileLock;
  sandbox: Sandbox;
  signal: AbortSignal;
}

/** Arguments of zfs: as imgadm sends, so that every ZFS can receive it (spec/zfs-send-stream.md §8). */
export function sendArguments(snapshot: string, base: string | undefined): string[] {
  return base === undefined ? ['send', snapshot] : ['send', '-i', base, snapshot];
}

export async function sendDataset(options: SendOptions, listener: JobListener): Promise<TransferResult> {
  const {request, snapshot, signal} = options;
  await runZfs(['snapshot', snapshot], `Snapshotting to "${snapshot}"`, signal);
  try {
    await sendSnapshot(options);
  } finally {
    await runZfs(['destroy', snapshot], `Removing snapshot "${snapshot}"`);
  }
  listener.reportProgress(1);
  const [path = ''] = snapshot.split('@');
  return {path, format: request.format, notices: []};
}

async function sendSnapshot(options: SendOptions): Promise<void> {
  const {snapshot, base, lock, signal} = options;
  const attempted = `Sending "${snapshot}"`;
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  const zfs = startZfs(sendArguments(snapshot, base), {stdout: 'pipe', descriptors: [lock.fd], signal: both});
  const sending = endOf(zfs);
  sending.catch(() => stop.abort());
  // Read from the start: what zfs leaves in a pipe that nobody reads is thrown away when it ends.
  const stream = new PassThrough();
  const buffered = zfs.stdout && pipeline(zfs.stdout, stream).catch(() => undefined);
  const encoding = encode(options, stream, both);
  encoding.catch(() => {
    // Without its reader zfs would wait for ever.
    stream.destroy();
    stop.abort();
  });
  const [encoded, end] = await Promise.allSettled([encoding, sending]);
  await buffered;
  if (signal.aborted) throw new ImgctlError('Interrupted', `${attempted} was interrupted`);
  if (encoded.status === 'rejected' && end.status === 'fulfilled') throw encoded.reason;
  if (end.status === 'rejected') throw end.reason;
  if (end.value.exitCode !== 0) throw zfsFailure(end.value, attempted);
}

/** Has the child write the stream, compressed, to the output. */
async function encode({request, sandbox}: SendOptions, stream: Readable, signal: AbortSignal): Promise<void> {
  const {compression, parallel, outputFd} = request;
  const cores = parallel ? availableParallelism() : undefined;
  const task: StreamTask = {mode: 'encode', compression, ...(cores !== undefined && {cores})};
  let fed: Promise<unknown> | undefined;
  await runChild({
    name: 'stream-child',
    task,
    sandbox,
    wrap: {target: undefined, capabilities: []},
    ...(cores === undefined ? {} : {env: {UV_THREADPOOL_SIZE: String(Math.max(cores, 4))}}),
    descriptors: {stdin: 'pipe', descriptors: [outputFd]},
    signal,
    onMessage: () => undefined,
    onStart: (child) => {
      fed = feed(stream, child);
    },
  });
  await fed;
}

/** Resolves when nothing more is handed on; either side says itself what went wrong. */
async function feed(stream: Readable, {stdin}: RunningProcess): Promise<unknown> {
  if (!stdin) throw new Error('The stream child was started without a pipe');
  return await pipeline(stream, stdin).catch((error: unknown) => error);
}
