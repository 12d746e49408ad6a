/**
 * The process that touches untrusted bytes: it decodes and unpacks into its working directory, with as few rights
 * as the sandbox around it could take away, and reports on standard output (child-protocol.ts). An entry of its own
 * in dist/; calls block on purpose, because nothing else runs here.
 */

import {closeSync, constants, fstatSync, fsyncSync, mkdirSync, openSync} from 'node:fs';
import path from 'node:path';
import {errnoOf, ImgctlError} from '../../errors.ts';
import type {Payload} from '../../formats/sniff.ts';
import {readTar} from '../../formats/tar-reader.ts';
import {createSubvolumeAt, isBtrfs} from '../../sys/btrfs.ts';
import {syncFileSystem} from '../../sys/contents.ts';
import {Losses} from '../../sys/losses.ts';
import {copyUserAttributes, setMetadata} from '../../sys/metadata.ts';
import {stagedRaw, stagedSide, stagedTree} from '../../sys/staging.ts';
import {type ChildMessage, errorMessage, type StoredFormat, type UnpackTask} from './child-protocol.ts';
import {decoderTools} from './decoder-tools.ts';
import {applyDiskDelta, applyLayer} from './delta/apply.ts';
import {asImgctlError} from './failure.ts';
import {importDirectory} from './import-directory.ts';
import {identityOf} from './import-source.ts';
import {liftOsTree} from './lift.ts';
import {type Input, openInput, writeDisk} from './open-input.ts';
import {formatBytes} from './pull/pull-log.ts';
import {TreeWriter} from './tree-writer.ts';
import {
  checkKind,
  datasetLimits,
  type StoreOptions,
  storeTree,
  VolumeStore,
  ZfsStream,
} from './zfs/unpack-zfs.ts';

const source = 0;
const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

async function unpack(task: UnpackTask): Promise<string[]> {
  if (task.sourceDirectory !== undefined) return await unpackDirectory(task.sourceDirectory);
  const {size} = fstatSync(source);
  const onPosition = progressOf(size);
  const head = readHead(source, sniffBytes);
  const compression = sniffCompression(head);
  const options = {limits: task.limits, replacements: decoderTools()};
  const isPlain = compression === 'none';
  const decoded = counted(decompress(readFileFrom(source, onPosition), compression, options));
  const bytes = new ByteReader(decoded.chunks);
  const payload = sniffPayload(isPlain ? head : await bytes.peek(sniffBytes));
  const format = storedFormat(task, payload, isPlain ? size : undefined);
  const {maxOutputBytes: maxBytes} = task.limits;
  const writeDisk = (fd: number) =>
    isPlain ? copyRaw(source, fd, {maxBytes, onPosition}) : writeRaw(fd, bytes.rest());
  if (task.base) {
    const notices = await unpackDelta(task, {format, payload, isPlain, bytes});
    send({type: 'decoded', bytes: isPlain ? size : decoded.count()});
    return notices;
  }
  const notices =
    format === 'tar'
      ? await unpackTar(task, bytes.rest())
      : payload === 'qcow2'
        ? await unpackQcow2(task, isPlain ? undefined : bytes.rest())
        : await unpackRaw(task, writeDisk);
  send({type: 'decoded', bytes: isPlain ? size : decoded.count()});
  return notices;
}

/** Decides what to store, tells the parent, and refuses what cannot be stored before anything is written. */
function storedFormat(task: UnpackTask, payload: Payload, neededBytes?: number): StoredFormat {
  const format = task.format === 'auto' ? (payload === 'tar' ? 'tar' : 'raw') : task.format;
  send({type: 'sniffed', format, ...(neededBytes === undefined ? {} : {neededBytes})});
  return format;
}

/** The kinds must agree: a disk taken for a layer would be read as an empty one. */
async function unpackDelta(
  task: UnpackTask,
  file: {format: StoredFormat; payload: Payload; isPlain: boolean; bytes: ByteReader},
): Promise<string[]> {
  const baseDigest = task.base?.digest;
  if (file.payload !== (file.format === 'tar' ? 'tar' : 'qcow2')) {
    throw new ImgctlError('InvalidArchive', `The file is not an incremental image: it holds ${file.payload}`);
  }
  const {maxEntries} = task;
  if (file.format === 'tar')
    return await applyLayer(file.bytes.rest(), {maxEntries, needsDevices: isRoot(), baseDigest});
  const image = file.isPlain ? source : await spool(file.bytes.rest(), stagedSide('.spool'));
  try {
    const sendPosition = progressOf(1);
    const wrote = applyDiskDelta({
      source: randomAccess(image),
      sourceFd: source,
      maxBytes: task.limits.maxOutputBytes,
      baseDigest,
      onPosition: (position, size) => sendPosition(position / size),
    });
    log(`Wrote ${wrote} bytes.`);
    return [];
  } finally {
    if (image !== source) closeSync(image);
  }
}

function isRoot(): boolean {
  return process.geteuid?.() === 0;
}

/** A compressed one is decompressed to a file without a name first, because its parts lie in any order. */
async function unpackQcow2(
  task: UnpackTask,
  compressed: AsyncIterable<Buffer> | undefined,
): Promise<string[]> {
  const {maxOutputBytes: maxBytes} = task.limits;
  const image = compressed ? await spool(compressed) : source;
  try {
    log('Unpacking QCOW2 file.');
    const sendPosition = progressOf(1);
    const onPosition = (position: number, size: number) => sendPosition(position / size);
    const convert = (fd: number) => convertQcow2(randomAccess(image), fd, {maxBytes, onPosition});
    // importd converts a pulled one into a new file, and an imported one in place.
    return await unpackRaw(task, convert, {isNew: task.isPull ?? false});
  } finally {
    if (image !== source) closeSync(image);
  }
}

async function spool(bytes: AsyncIterable<Buffer>, name = stagedRaw): Promise<number> {
  const fd = openSync(name, constants.O_CREAT | constants.O_EXCL | constants.O_RDWR, 0o600);
  unlinkSync(name);
  try {
    await writeRaw(fd, bytes);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

async function unpackRaw(
  write: (fd: number) => number | Promise<number>,
  {isNew} = {isNew: false},
): Promise<string[]> {
  const fd = openSync(stagedRaw, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o644);
  try {
    if ((await write(fd)) === 0) throw isEmpty();
    // importd gives a disk image the times and user attributes of its file (spec/engine.md §2).
    if (!isNew) copyUserAttributes(source, fd);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  return [];
}

async function unpackTar(task: UnpackTask, bytes: AsyncIterable<Buffer>): Promise<string[]> {
  const top = makeTree();
  const writer = new TreeWriter(top, {maxEntries: task.maxEntries, needsDevices: isRoot()});
  try {
    for await (const entry of readTar(bytes)) await writer.add(entry);
    const lifted = writer.finish();
    if (lifted !== undefined) reportLift(lifted.toString());
    syncFileSystem(top);
    return writer.losses.sentences();
  } finally {
    writer.close();
    closeSync(top);
  }
}

async function unpackDirectory(directory: SourceDirectory): Promise<string[]> {
  send({type: 'sniffed', format: 'directory'});
  const opened = openSourceDirectory(directory);
  // The dot makes it a directory and no link, which would not be taken for a subvolume.
  const notices = await importDirectory(`/proc/self/fd/${opened}/.`, stagedTree, makeTree).finally(() =>
    closeSync(opened),
  );
  const top = openSync(stagedTree, directoryFlags);
  try {
    const lifted = liftOsTree(top);
    if (lifted) {
      const losses = new Losses();
      const {mode, uid, gid, mtimeNs} = lifted.stats;
      const metadata = {
        mode: Number(mode) & 0o7777,
        uid: Number(uid),
        gid: Number(gid),
        mtimeNs,
        xattrs: new Map(),
      };
      setMetadata({dir: top, name: '.', fd: top, label: '.'}, metadata, losses);
      reportLift(lifted.name.toString());
      notices.push(...losses.sentences());
    }
    syncFileSystem(top);
    return notices;
  } finally {
    closeSync(top);
  }
}

/** What is copied is the directory that was opened, whatever its path leads to later. */
function openSourceDirectory({path: place, identity}: SourceDirectory): number {
  const fd = openSync(place, constants.O_RDONLY | constants.O_DIRECTORY);
  if (identity === undefined || identity === identityOf(fd)) return fd;
  closeSync(fd);
  throw new ImgctlError('FileSystem', `Directory "${place}" is not the one that was passed`);
}

function reportLift(name: string): void {
  log(`Rearranging '${path.join(process.cwd(), name)}', moving OS tree one directory up.`);
  log('Successfully rearranged OS tree.');
}

/** The open top of the tree: a subvolume on btrfs, so that it can be read-only and cloned in no time. */
function makeTree(): number {
  if (!isBtrfs('.') || !tryMakeSubvolume()) mkdirSync(stagedTree, 0o700);
  return openSync(stagedTree, directoryFlags);
}

function tryMakeSubvolume(): boolean {
  const here = openSync('.', directoryFlags);
  try {
    createSubvolumeAt(here, stagedTree);
    return true;
  } catch (error) {
    if (['EPERM', 'EACCES', 'ENOTTY', 'EOPNOTSUPP'].includes(errnoOf(error) ?? '')) return false;
    throw error;
  } finally {
    closeSync(here);
  }
}

/** importd, which looks into every disk for the mark of qcow2, fails here too (spec/engine.md §4). */
function isEmpty(): ImgctlError {
  return new ImgctlError('InvalidArchive', 'The file is empty; a disk is not', {
    details: {format: 'raw', fault: 'empty'},
  });
}

async function main(): Promise<void> {
  process.umask(0);
  try {
    const task = JSON.parse(process.argv[2] ?? '') as UnpackTask;
    send({type: 'done', notices: await unpack(task)});
  } catch (error) {
    send(errorMessage(asImgctlError(error, 'Unpacking')));
  }
}

await main();
