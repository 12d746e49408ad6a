/**
 * The process between files and zfs(8): it decompresses a file, checks the stream in it and hands on the records of
 * its one snapshot, or compresses what zfs sends. The frame of a compound stream stays behind, and with it the properties in
 * it, such as places to be mounted at. A bundle of its own in dist/; calls block on purpose, because nothing else runs here.
 */
import {createReadStream, fstatSync} from 'node:fs';
import {ImgctlError} from '../../errors.ts';
import type {Begin} from '../../formats/zfs-stream/begin.ts';
import {RecordReader, type StreamRecord} from '../../formats/zfs-stream/record-reader.ts';
import {fletcher4} from '../../sys/fletcher4.ts';
import {errorMessage} from '../embedded/child-protocol.ts';
import {progressOf, send} from '../embedded/child-report.ts';
import {compressBest} from '../embedded/decoder-tools.ts';
import {Output} from '../embedded/export/output.ts';
import {asImgctlError} from '../embedded/failure.ts';
import {openInput} from '../embedded/open-input.ts';
import {type StreamTask, streamFd} from './stream-task.ts';

const source = 0;
const chunkBytes = 256 * 1024;

async function decode({limits}: StreamTask & {mode: 'decode'}): Promise<void> {
  const input = await openInput(source, limits, progressOf(fstatSync(source).size));
  if (input.payload !== 'zfs') throw otherPayload(input.payload);
  const output = new BatchedOutput(new Output(streamFd));
  const reader = new RecordReader(input.bytes, fletcher4, (bytes) => output.write(bytes));
  const begin = beginOf(await reader.next());
  if (begin.kind === undefined) throw new Error('A stream that can be read has a kind');
  send({type: 'zfs', kind: begin.kind, ...(begin.fromGuid !== undefined && {fromGuid: begin.fromGuid})});
  const others: string[] = [];
  for (let record = await reader.next(); record; record = await reader.next()) {
    if (record.header.type === 'begin') others.push(record.header.name);
    if (others.length > 0) output.stop();
  }
  if (others.length > 0) throw severalSnapshots([begin.name, ...others]);
  output.flush();
  send({type: 'decoded', bytes: input.count()});
}

function beginOf(record: StreamRecord | undefined): Begin {
  if (record?.header.type === 'begin') return record.header;
  throw new Error('A stream begins with its begin record');
}

function otherPayload(payload: string): ImgctlError {
  const holds = payload === 'raw' ? 'no ZFS stream' : `${payload}, which is no ZFS stream`;
  return new ImgctlError(
    'NotSupported',
    `A pool of type zfs takes ZFS streams only: the file holds ${holds}`,
    {
      hint: 'Import it into a pool that is a directory (-P)',
    },
  );
}

/** spec/imgadm.md §7.5. */
function severalSnapshots(names: readonly string[]): ImgctlError {
  const snapshots = names.map((name) => name.slice(name.indexOf('@'))).join(', ');
  return new ImgctlError(
    'UnexpectedNumberOfSnapshots',
    `The stream has an unexpected number of snapshots (${names.length}): ${snapshots}`,
    {hint: 'Send it again without -R and -I, or import it into a pool that is a directory (-P)'},
  );
}

/** Headers are small, and many. */
class BatchedOutput {
  readonly #output: Output;
  readonly #collected = Buffer.allocUnsafeSlow(chunkBytes);
  #bytes = 0;
  #isStopped = false;

  constructor(output: Output) {
    this.#output = output;
  }

  write(bytes: Buffer): void {
    if (this.#bytes + bytes.length > chunkBytes) this.flush();
    if (bytes.length > chunkBytes) this.#put(bytes);
    else this.#bytes += bytes.copy(this.#collected, this.#bytes);
  }

  /** The reader is never to see the end. */
  stop(): void {
    this.#isStopped = true;
  }

  flush(): void {
    if (this.#bytes > 0) this.#put(this.#collected.subarray(0, this.#bytes));
    this.#bytes = 0;
  }

  #put(bytes: Buffer): void {
    if (!this.#isStopped) this.#output.write(bytes);
  }
}

async function encode({compression, cores}: StreamTask & {mode: 'encode'}): Promise<void> {
  const output = new Output(streamFd);
  const chunks: AsyncIterable<Buffer> = createReadStream('', {fd: source, highWaterMark: chunkBytes});
  for await (const chunk of compressBest(chunks, compression, cores)) output.write(chunk);
}

/** Called once, by `start.cjs`, with the StreamTask as JSON. */
export async function runTask(json: string): Promise<void> {
  process.umask(0);
  try {
    const task = JSON.parse(json) as StreamTask;
    await (task.mode === 'decode' ? decode(task) : encode(task));
    send({type: 'done', notices: []});
  } catch (error) {
    send(errorMessage(asImgctlError(error, 'Reading the stream')));
  }
}
