/**
 * The process that reads an image and writes it to the output it was given. It needs to read everything and to
 * write nothing else, and the sandbox around it says so. A bundle of its own in dist/; calls block on purpose,
 * because nothing else runs here.
 */
import {closeSync, fstatSync, openSync, writeSync} from 'node:fs';
import {errnoOf} from '../../../errors.ts';
import {setTimesAt} from '../../../sys/files.ts';
import {Losses} from '../../../sys/losses.ts';
import {findXattr, listXattrs, setXattr} from '../../../sys/xattr.ts';
import {type ChildMessage, errorMessage} from '../child-protocol.ts';
import {compressBest} from '../decoder-tools.ts';
import {digestDisk, digestTree} from '../delta/content-digest.ts';
import {readDiskDelta} from '../delta/read-disk-delta.ts';
import {readLayer} from '../delta/read-layer.ts';
import {asImgctlError} from '../failure.ts';
import {batched} from './batched.ts';
import {baseFd, type ExportTask, outputFd} from './export-task.ts';
import {Output} from './output.ts';
import {copyRawTo, readRaw} from './read-raw.ts';
import {readTree} from './read-tree.ts';
import {directoryFlags} from './tree-entry.ts';
import {zstdFileFrames, zstdFrameEncoder} from './zstd-frames.ts';

const source = 0;
const progressStep = 0.005;
/** What a file system or user may refuse to keep about a finished file. */
const notKept = ['EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSPC', 'EROFS'];

/** Fails with EPIPE when the parent is gone, which ends this process. */
function send(message: ChildMessage): void {
  writeSync(1, `${JSON.stringify(message)}\n`);
}

async function run(task: ExportTask): Promise<string[]> {
  const {directory} = task;
  if (task.digestOnly) return await reportContents(directory);
  const output = new Output(outputFd, {digest: task.digestOutput === true});
  const notices =
    directory === undefined ? await exportDisk(task, output) : await exportTree(directory, task, output);
  const written = output.written();
  if (written) send({type: 'output', ...written});
  return notices;
}

async function exportDisk(task: ExportTask, output: Output): Promise<string[]> {
  const onPosition = progressOf(fstatSync(source).size);
  if (task.base) {
    send({type: 'base', digest: await digestDisk(baseFd)});
    await writeAll(encoded(readDiskDelta(source, baseFd, onPosition), task), output);
    return [];
  }
  if (task.compression === 'uncompressed') copyRawTo(source, output, onPosition);
  else await writeAll(encodedDisk(task, onPosition), output);
  return output.isFile ? keepAttributes() : [];
}

function encodedDisk(
  {compression, cores}: ExportTask,
  onPosition: (position: number) => void,
): AsyncIterable<Buffer> {
  const frames =
    compression === 'zstd' && cores !== undefined
      ? zstdFileFrames(source, fstatSync(source).size, cores, onPosition)
      : undefined;
  return frames ?? compressBest(readRaw(source, onPosition), compression, cores);
}

async function reportContents(directory: string | undefined): Promise<string[]> {
  const top = directory === undefined ? source : openSync(directory, directoryFlags);
  send({type: 'contents', digest: directory === undefined ? await digestDisk(top) : digestTree(top)});
  return [];
}

async function exportTree(directory: string, task: ExportTask, output: Output): Promise<string[]> {
  const top = openSync(directory, directoryFlags);
  const losses = new Losses();
  try {
    const frames = framesOf(task);
    const packed = frames
      ? frames(entriesOf(top, task, losses, {reuse: true}))
      : encoded(batched(entriesOf(top, task, losses)), task);
    await writeAll(packed, output);
  } finally {
    closeSync(top);
  }
  return losses.sentences();
}

/** What copies every piece before it asks for the next. */
function framesOf({compression, cores}: ExportTask): ReturnType<typeof zstdFrameEncoder> {
  return compression === 'zstd' && cores !== undefined ? zstdFrameEncoder(cores) : undefined;
}

function* entriesOf(
  top: number,
  {base}: ExportTask,
  losses: Losses,
  {reuse} = {reuse: false},
): Generator<Buffer> {
  if (base?.directory === undefined) return yield* readTree(top, losses, {reuse});
  const below = openSync(base.directory, directoryFlags);
  try {
    send({type: 'base', digest: digestTree(below)});
    yield* readLayer(top, below, losses);
  } finally {
    closeSync(below);
  }
}

function encoded(chunks: AsyncIterable<Buffer>, {compression, cores}: ExportTask): AsyncIterable<Buffer> {
  return compressBest(chunks, compression, cores);
}

async function writeAll(chunks: AsyncIterable<Buffer>, output: Output): Promise<void> {
  for await (const chunk of chunks) output.write(chunk);
}

function progressOf(total: number): (position: number) => void {
  let sent = 0;
  return (position) => {
    const fraction = total > 0 ? position / total : 1;
    if (fraction - sent < progressStep) return;
    sent = fraction;
    send({type: 'progress', fraction});
  };
}

/** importd gives the output of a disk image its times and user attributes (spec/engine.md §8). */
function keepAttributes(): string[] {
  try {
    for (const name of listXattrs(source)) {
      const value = name.startsWith('user.') ? findXattr(source, name) : undefined;
      if (value) setXattr(outputFd, name, value);
    }
    const {atimeNs, mtimeNs} = fstatSync(source, {bigint: true});
    setTimesAt(outputFd, '', atimeNs, mtimeNs);
    return [];
  } catch (error) {
    if (!notKept.includes(errnoOf(error) ?? '')) throw error;
    return ['The output does not have the times and attributes of the image: it cannot keep them'];
  }
}

/** Called once, by `start.cjs`, with the ExportTask as JSON. */
export async function runTask(json: string): Promise<void> {
  try {
    const task = JSON.parse(json) as ExportTask;
    send({type: 'done', notices: await run(task)});
  } catch (error) {
    send(errorMessage(asImgctlError(error, 'Exporting')));
  }
}
