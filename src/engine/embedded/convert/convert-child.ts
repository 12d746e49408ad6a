/**
 * The process that makes another format of a file: it reads untrusted bytes, and the sandbox around it lets it write
 * to its working directory only. A bundle of its own in dist/; calls block on purpose, because nothing else runs here.
 */
import {closeSync, constants, fstatSync, openSync, readSync} from 'node:fs';
import {ImgctlError} from '../../../errors.ts';
import {clusterBytes, Qcow2Writer} from '../../../formats/qcow2/qcow2-writer.ts';
import {readTar} from '../../../formats/tar-reader.ts';
import {findData} from '../../../sys/contents.ts';
import {writeFully} from '../../../sys/copy-file.ts';
import {Losses} from '../../../sys/losses.ts';
import {stagedRaw} from '../../../sys/staging.ts';
import {errorMessage} from '../child-protocol.ts';
import {progressOf, send} from '../child-report.ts';
import {batched} from '../export/batched.ts';
import {asImgctlError} from '../failure.ts';
import {type Input, openInput, writeDisk} from '../open-input.ts';
import {writeRaw} from '../raw-writer.ts';
import {openUnnamed} from '../unnamed-file.ts';
import {datasetLimits, VolumeStore, ZfsStream} from '../zfs/unpack-zfs.ts';
import type {ConvertTask} from './convert-task.ts';
import {archiveOf} from './zfs-archive.ts';

const source = 0;
const zeros = Buffer.alloc(clusterBytes);

async function convert(task: ConvertTask): Promise<string[]> {
  const input = await openInput(source, task.limits, progressOf(fstatSync(source).size));
  const stream = input.payload === 'zfs' ? await ZfsStream.open(input.bytes) : undefined;
  const isTree = stream ? !stream.isVolume : input.payload === 'tar';
  if (isTree !== (task.to === 'tar')) throw otherKind(isTree, task.to);
  if (isTree) return await toOutput((fd) => writeArchive(task, input, stream, fd));
  if (task.to === 'raw') return await toOutput((fd) => writeDiskOf(task, input, stream, fd));
  const disk = openUnnamed();
  try {
    await writeDiskOf(task, input, stream, disk);
    return await toOutput((fd) => writeQcow2(disk, fd));
  } finally {
    closeSync(disk);
  }
}

async function toOutput(write: (fd: number) => string[] | Promise<string[]>): Promise<string[]> {
  const fd = openSync(stagedRaw, constants.O_CREAT | constants.O_EXCL | constants.O_RDWR, 0o600);
  try {
    return await write(fd);
  } finally {
    closeSync(fd);
  }
}

async function writeArchive(
  {limits, maxEntries}: ConvertTask,
  input: Input,
  stream: ZfsStream | undefined,
  fd: number,
): Promise<string[]> {
  if (!stream) {
    await copyTar(input, fd);
    return [];
  }
  const losses = new Losses();
  await writeRaw(fd, batched(archiveOf(stream, datasetLimits(limits, maxEntries), losses)));
  return losses.sentences();
}

/** The archive as it is, once decompressed; it has to be one to its end. */
async function copyTar(input: Input, fd: number): Promise<void> {
  let position = 0;
  async function* copied(): AsyncGenerator<Buffer> {
    for await (const chunk of input.bytes.rest()) {
      writeFully(fd, chunk, position);
      position += chunk.length;
      yield chunk;
    }
  }
  const entries = readTar(copied());
  while (await entries.next());
}

async function writeDiskOf(
  {limits, maxEntries}: ConvertTask,
  input: Input,
  stream: ZfsStream | undefined,
  fd: number,
): Promise<string[]> {
  if (stream) {
    const options = {limits: datasetLimits(limits, maxEntries), keepsState: false, origin: undefined};
    using volume = new VolumeStore(stream, options);
    await volume.store(fd);
    return [];
  }
  await writeDisk(input, fd, {maxBytes: limits.maxOutputBytes, onPosition: () => undefined});
  return [];
}

function writeQcow2(disk: number, fd: number): string[] {
  const {size} = fstatSync(disk);
  const image = new Qcow2Writer(size, (offset, bytes) => writeFully(fd, bytes, offset));
  const buffer = Buffer.alloc(clusterBytes);
  for (let position = 0; ; ) {
    const range = findData(disk, position, size);
    if (!range) break;
    const from = Math.floor(range.start / clusterBytes) * clusterBytes;
    for (position = Math.max(position, from); position < range.end; position += clusterBytes) {
      const length = readFully(disk, buffer.subarray(0, Math.min(clusterBytes, size - position)), position);
      const bytes = buffer.subarray(0, length);
      if (!bytes.equals(zeros.subarray(0, length))) image.add(position, bytes);
    }
  }
  image.finish();
  return [];
}

function readFully(fd: number, target: Buffer, position: number): number {
  for (let done = 0; done < target.length; ) {
    const count = readSync(fd, target, done, target.length - done, position + done);
    if (count === 0) throw new ImgctlError('FileSystem', 'The disk became shorter while it was read');
    done += count;
  }
  return target.length;
}

function otherKind(isTree: boolean, to: string): ImgctlError {
  const [is, hint] = isTree
    ? ['a tree of files, which is no disk', 'Convert it with --to tar']
    : ['a disk, which is no archive of files', 'Convert it with --to raw or --to qcow2'];
  return new ImgctlError('InvalidArgument', `The file holds ${is}: it cannot become ${to}`, {hint});
}

/** Called once, by `start.cjs`, with the ConvertTask as JSON. */
export async function runTask(json: string): Promise<void> {
  process.umask(0);
  try {
    const task = JSON.parse(json) as ConvertTask;
    send({type: 'done', notices: await convert(task)});
  } catch (error) {
    send(errorMessage(asImgctlError(error, 'Converting')));
  }
}
