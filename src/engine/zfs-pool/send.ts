/**
 * One export from a pool of type zfs: a snapshot of a name of its own, `zfs send`, compression in the stream child. The
 * snapshot is gone afterwards; one that a killed process left goes with the next that works in the pool.
 */
import {availableParallelism} from 'node:os';
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

async function sendSnapshot({request, snapshot, base, lock, sandbox, signal}: SendOptions): Promise<void> {
  const attempted = `Sending "${snapshot}"`;
  const {compression, parallel, outputFd} = request;
  const stop = new AbortController();
  const cores = parallel ? availableParallelism() : undefined;
  const task: StreamTask = {mode: 'encode', compression, ...(cores !== undefined && {cores})};
  const both = AbortSignal.any([signal, stop.signal]);
  const zfs = startZfs(sendArguments(snapshot, base), {stdout: 'pipe', descriptors: [lock.fd], signal: both});
  const sending = endOf(zfs);
  sending.catch(() => stop.abort());
  let fed: Promise<unknown> = Promise.resolve();
  const encoding = runChild({
    name: 'stream-child',
    task,
    sandbox,
    wrap: {target: undefined, capabilities: []},
    ...(cores === undefined ? {} : {env: {UV_THREADPOOL_SIZE: String(Math.max(cores, 4))}}),
    descriptors: {stdin: 'pipe', descriptors: [outputFd]},
    signal: both,
    onMessage: () => undefined,
    onStart: (child) => {
      fed = feed(zfs, child);
    },
  });
  // Without its reader zfs would wait for ever.
  encoding.catch(() => stop.abort());
  const [encoded, end] = await Promise.allSettled([encoding, sending]);
  await fed;
  if (signal.aborted) throw new ImgctlError('Interrupted', `${attempted} was interrupted`);
  if (encoded.status === 'rejected' && end.status === 'fulfilled') throw encoded.reason;
  if (end.status === 'rejected') throw end.reason;
  if (end.value.exitCode !== 0) throw zfsFailure(end.value, attempted);
}

/** Resolves when nothing more is handed on; either side says itself what went wrong. */
async function feed(zfs: RunningProcess, child: RunningProcess): Promise<unknown> {
  if (!zfs.stdout || !child.stdin) throw new Error('Processes were started without pipes');
  return await pipeline(zfs.stdout, child.stdin).catch((error: unknown) => error);
}
