/**
 * The process that touches untrusted bytes: it decodes and unpacks into its working directory, with as few rights
 * as the sandbox around it could take away, and reports on standard output (child-protocol.ts). A bundle of its own
 * in dist/; calls block on purpose, because nothing else runs here.
 */

import {closeSync, constants, existsSync, fstatSync, mkdirSync, openSync} from 'node:fs';
import path from 'node:path';
import {errnoOf, ImgctlError} from '../../errors.ts';
import type {Payload} from '../../formats/sniff.ts';
import {createSubvolumeAt, isBtrfs} from '../../sys/btrfs.ts';
import {syncFileSystem} from '../../sys/contents.ts';
import {CopyBeside} from '../../sys/copy-beside.ts';
import {Losses} from '../../sys/losses.ts';
import {copyUserAttributes, setMetadata} from '../../sys/metadata.ts';
import {stagedRaw, stagedTree, stagedTwin} from '../../sys/staging.ts';
import {addArchive} from './add-archive.ts';
import {Arrival} from './arrival.ts';
import {errorMessage, type SourceDirectory, type StoredFormat, type UnpackTask} from './child-protocol.ts';
import {log, progressOf, send} from './child-report.ts';
import {applyDiskDelta, applyLayer} from './delta/apply.ts';
import {DiskDigest, digestDisk, digestTree} from './delta/content-digest.ts';
import {asImgctlError} from './failure.ts';
import {importDirectory} from './import-directory.ts';
import {identityOf} from './import-source.ts';
import {liftOsTree} from './lift.ts';
import {type Input, openInput, withDisk, writeDisk} from './open-input.ts';
import {PendingSyncs} from './pending-syncs.ts';
import {formatBytes} from './pull/pull-log.ts';
import {canShareBlocks} from './share-blocks.ts';
import {TreeWriter} from './tree-writer.ts';
import {TwinWriter} from './twin-writer.ts';
import {
  checkKind,
  datasetLimits,
  type StoreOptions,
  storeTree,
  VolumeStore,
  ZfsStream,
} from './zfs/unpack-zfs.ts';

const source = 0;
const arrivalFd = 3;
/** Read again where a second one is made of it. */
const newFile = constants.O_CREAT | constants.O_EXCL | constants.O_RDWR;
const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

const syncs = new PendingSyncs();
/** Of a disk they are known when it is written. */
let areContentsTold = false;

async function unpack(task: UnpackTask): Promise<string[]> {
  if (task.sourceDirectory !== undefined) return await unpackDirectory(task.sourceDirectory);
  const arrival = task.isArriving ? await Arrival.open(arrivalFd) : undefined;
  try {
    return await unpackFile(task, arrival);
  } finally {
    arrival?.close();
  }
}

async function unpackFile(task: UnpackTask, arrival: Arrival | undefined): Promise<string[]> {
  const {limits, sourceBytes = fstatSync(source).size} = task;
  const input = await openInput(source, limits, progressOf(sourceBytes), {size: sourceBytes, arrival});
  const {payload, bytes} = input;
  if (task.base) return await unpackDelta(task, input);
  if (payload === 'zfs') return await unpackZfs(task, input);
  const format = storedFormat(task, payload, input.isPlain ? input.size : undefined);
  const notices = format === 'tar' ? await unpackTar(task, bytes.rest()) : await unpackDisk(task, input);
  const decodedBytes = input.count();
  send({type: 'decoded', bytes: decodedBytes});
  if (format === 'raw' && !task.isPull) log(`Wrote ${formatBytes(decodedBytes)}.`);
  return notices;
}

/** Decides what to store, tells the parent, and refuses what cannot be stored before anything is written. */
function storedFormat(task: UnpackTask, payload: Payload, neededBytes?: number): StoredFormat {
  const format = task.format === 'auto' ? (payload === 'tar' ? 'tar' : 'raw') : task.format;
  send({type: 'sniffed', format, ...(neededBytes === undefined ? {} : {neededBytes})});
  return format;
}

/** The kinds must agree: a disk taken for a layer would be read as an empty one. */
async function unpackDelta(task: UnpackTask, input: Input): Promise<string[]> {
  const {payload, bytes} = input;
  const format = storedFormat(task, payload, input.isPlain ? input.size : undefined);
  if (payload !== (format === 'tar' ? 'tar' : 'qcow2')) {
    throw new ImgctlError('InvalidArchive', `The file is not an incremental image: it holds ${payload}`);
  }
  const baseDigest = task.base?.digest;
  const tree = {maxEntries: task.maxEntries, needsDevices: process.geteuid?.() === 0, baseDigest};
  const notices =
    format === 'tar'
      ? await applyLayer(bytes.rest(), tree)
      : await unpackDiskDelta(input, {maxBytes: task.limits.maxOutputBytes, baseDigest});
  send({type: 'decoded', bytes: input.count()});
  return notices;
}

async function unpackDiskDelta(
  input: Input,
  options: {maxBytes: number; baseDigest: string | undefined},
): Promise<string[]> {
  const sendPosition = progressOf(1);
  const onPosition = (position: number, size: number) => sendPosition(position / size);
  const wrote = await withDisk(input, (image) =>
    applyDiskDelta({source: image, sourceFd: source, ...options, onPosition}),
  );
  log(`Wrote ${formatBytes(wrote)}.`);
  return [];
}

/** What it is and whether it can be read is known before anything is written. */
async function unpackZfs(task: UnpackTask, input: Input): Promise<string[]> {
  const stream = await ZfsStream.open(input.bytes);
  checkKind(stream, task.format);
  send({type: 'sniffed', format: stream.isVolume ? 'raw' : 'directory'});
  const {limits, maxEntries, origin} = task;
  const options = {origin, limits: datasetLimits(limits, maxEntries), keepsState: !task.isPull};
  const tree = {maxEntries, needsDevices: process.geteuid?.() === 0};
  const notices = stream.isVolume
    ? await unpackVolume(stream, options, {digests: task.digestContents === true})
    : await storeTree(stream, {...options, tree, makeTree, onLifted: reportLift});
  send({type: 'decoded', bytes: input.count()});
  return notices;
}

async function unpackVolume(
  stream: ZfsStream,
  options: StoreOptions,
  {digests}: {digests: boolean},
): Promise<string[]> {
  using volume = new VolumeStore(stream, options);
  const notices = await unpackRaw((fd) => volume.store(fd), {digests});
  if (options.keepsState) await volume.writeState();
  return notices;
}

async function unpackDisk(task: UnpackTask, input: Input): Promise<string[]> {
  const isQcow2 = input.payload === 'qcow2';
  if (isQcow2) log('Unpacking QCOW2 file.');
  const sendPosition = progressOf(1);
  const onPosition = (position: number, total: number) => sendPosition(position / total);
  const {maxOutputBytes: maxBytes} = task.limits;
  // importd converts a pulled one into a new file, and an imported one in place.
  const isNew = isQcow2 && (task.isPull ?? false);
  const needsTwin = task.needsTwin === true && !canShareBlocks('.');
  const write: WriteRaw = (fd, onWritten) => writeDisk(input, fd, {maxBytes, onPosition, onWritten});
  const digests = task.digestContents === true;
  return await unpackRaw(write, {isNew, needsTwin, digests});
}

/** Returns the size; tells how far it has come. */
type WriteRaw = (fd: number, onWritten?: (position: number) => void) => number | Promise<number>;

async function unpackRaw(
  write: WriteRaw,
  {isNew = false, needsTwin = false, digests = false} = {},
): Promise<string[]> {
  const fd = openSync(stagedRaw, newFile, 0o644);
  const twin = needsTwin ? openSync(stagedTwin, newFile, 0o644) : undefined;
  const copy = twin === undefined ? undefined : new CopyBeside(fd, twin);
  const digest = digests ? new DiskDigest(fd) : undefined;
  try {
    const size = await write(fd, (position) => {
      copy?.reached(position);
      digest?.reached(position);
    });
    if (size === 0) throw isEmpty();
    // importd gives a disk image the times and user attributes of its file (spec/engine.md §2).
    if (!isNew) copyUserAttributes(source, fd);
    syncs.file(fd);
    if (digest) tellContents(await digest.finish(size));
    if (copy && twin !== undefined) {
      await copy.finish(size);
      copyUserAttributes(fd, twin);
      syncs.file(twin);
    }
  } finally {
    await copy?.settle();
    await digest?.settle();
  }
  return [];
}

async function unpackTar(task: UnpackTask, bytes: AsyncIterable<Buffer>): Promise<string[]> {
  const top = makeTree();
  const isRoot = process.geteuid?.() === 0;
  const options = {maxEntries: task.maxEntries, needsDevices: isRoot};
  const twin = task.needsTwin && isRoot && !canShareBlocks('.') ? makeTwin() : undefined;
  const writer =
    twin === undefined ? new TreeWriter(top, options) : new TwinWriter({first: top, second: twin}, options);
  try {
    await addArchive(bytes, writer, top);
    const lifted = await writer.finish();
    if (lifted !== undefined) reportLift(lifted.toString());
    syncs.fileSystem(top);
    return writer.losses.sentences();
  } finally {
    await writer.close();
    if (twin !== undefined) closeSync(twin);
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

function tellContents(digest: string): void {
  send({type: 'contents', digest});
  areContentsTold = true;
}

/** Read back while it is still in memory. What a user may not read of his own image cannot be compared later either. */
async function reportContents(): Promise<string[]> {
  const isTree = existsSync(stagedTree);
  const fd = openSync(isTree ? stagedTree : stagedRaw, isTree ? directoryFlags : constants.O_RDONLY);
  try {
    tellContents(isTree ? digestTree(fd) : await digestDisk(fd));
    return [];
  } catch (error) {
    if (errnoOf(error) !== 'EACCES') throw error;
    return ['What is stored cannot be verified later: its owner may not read all of it'];
  } finally {
    closeSync(fd);
  }
}

/** The open top of the tree: a subvolume on btrfs, so that it can be read-only and cloned in no time. */
function makeTree(): number {
  if (!isBtrfs('.') || !tryMakeSubvolume()) mkdirSync(stagedTree, 0o700);
  return openSync(stagedTree, directoryFlags);
}

function makeTwin(): number {
  mkdirSync(stagedTwin, 0o700);
  return openSync(stagedTwin, directoryFlags);
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

/** Called once, by `start.cjs`, with the UnpackTask as JSON. */
export async function runTask(json: string): Promise<void> {
  process.umask(0);
  try {
    const task = JSON.parse(json) as UnpackTask;
    const notices = await unpack(task);
    if (task.digestContents && !areContentsTold) notices.push(...(await reportContents()));
    await syncs.settle();
    send({type: 'done', notices});
  } catch (error) {
    send(errorMessage(asImgctlError(error, 'Unpacking')));
  }
}
