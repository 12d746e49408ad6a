/**
 * The process that touches untrusted bytes: it decodes and unpacks into its working directory, with as few rights
 * as the sandbox around it could take away, and reports on standard output (child-protocol.ts). An entry of its own
 * in dist/; calls block on purpose, because nothing else runs here.
 */

import {closeSync, constants, fstatSync, fsyncSync, mkdirSync, openSync, writeSync} from 'node:fs';
import {errnoOf} from '../../errors.ts';
import {ByteReader} from '../../formats/byte-reader.ts';
import {decompress} from '../../formats/decompress.ts';
import {type Payload, sniffBytes, sniffCompression, sniffPayload} from '../../formats/sniff.ts';
import {readTar} from '../../formats/tar-reader.ts';
import {createSubvolumeAt, isBtrfs} from '../../sys/btrfs.ts';
import {syncFileSystem} from '../../sys/contents.ts';
import {Losses} from '../../sys/losses.ts';
import {copyUserAttributes, setMetadata} from '../../sys/metadata.ts';
import {stagedRaw, stagedTree} from '../../sys/staging.ts';
import {type ChildMessage, errorMessage, type StoredFormat, type UnpackTask} from './child-protocol.ts';
import {decoderTools} from './decoder-tools.ts';
import {asImgctlError} from './failure.ts';
import {randomAccess, readFileFrom, readHead} from './file-source.ts';
import {importDirectory} from './import-directory.ts';
import {liftOsTree} from './lift.ts';
import {convertQcow2, copyRaw, writeRaw} from './raw-writer.ts';
import {TreeWriter} from './tree-writer.ts';
import {openUnnamed} from './unnamed-file.ts';
import {checkKind, type StoreOptions, storeTree, VolumeStore, ZfsStream} from './zfs/unpack-zfs.ts';

const source = 0;
const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const progressStep = 0.005;
/** Each takes some memory until the end. */
const maxZfsObjects = 500_000;

/** Fails with EPIPE when the parent is gone, which ends this process. */
function send(message: ChildMessage): void {
  writeSync(1, `${JSON.stringify(message)}\n`);
}

function log(line: string, level = 6): void {
  send({type: 'log', level, line});
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
  if (payload === 'zfs') return await unpackZfs(task, bytes, decoded.count);
  const format = storedFormat(task, payload, isPlain ? size : undefined);
  const {maxOutputBytes: maxBytes} = task.limits;
  const writeDisk = (fd: number) =>
    isPlain ? copyRaw(source, fd, {maxBytes, onPosition}) : writeRaw(fd, bytes.rest());
  const notices =
    format === 'tar'
      ? await unpackTar(task, bytes.rest())
      : payload === 'qcow2'
        ? await unpackQcow2(task, isPlain ? undefined : bytes.rest())
        : await unpackRaw(task, writeDisk);
  send({type: 'decoded', bytes: isPlain ? size : decoded.count()});
  return notices;
}

/** The chunks, and how many bytes have passed. */
function counted(chunks: AsyncIterable<Buffer>): {chunks: AsyncIterable<Buffer>; count: () => number} {
  let passed = 0;
  async function* pass(): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      passed += chunk.length;
      yield chunk;
    }
  }
  return {chunks: pass(), count: () => passed};
}

/** Decides what to store, tells the parent, and refuses what cannot be stored before anything is written. */
function storedFormat(task: UnpackTask, payload: Payload, neededBytes?: number): StoredFormat {
  const format = task.format === 'auto' ? (payload === 'tar' ? 'tar' : 'raw') : task.format;
  send({type: 'sniffed', format, ...(neededBytes === undefined ? {} : {neededBytes})});
  return format;
}

/** What it is and whether it can be read is known before anything is written. */
async function unpackZfs(task: UnpackTask, bytes: ByteReader, count: () => number): Promise<string[]> {
  const stream = await ZfsStream.open(bytes);
  checkKind(stream, task.format);
  send({type: 'sniffed', format: stream.isVolume ? 'raw' : 'directory'});
  const {limits, maxEntries, origin} = task;
  const options = {
    origin,
    limits: {maxBytes: limits.maxOutputBytes, maxObjects: Math.min(maxEntries, maxZfsObjects)},
  };
  const tree = {maxEntries, needsDevices: process.geteuid?.() === 0};
  const notices = stream.isVolume
    ? await unpackVolume(task, stream, options)
    : await storeTree(stream, {...options, tree, makeTree, onLifted: reportLift});
  send({type: 'decoded', bytes: count()});
  return notices;
}

async function unpackVolume(task: UnpackTask, stream: ZfsStream, options: StoreOptions): Promise<string[]> {
  using volume = new VolumeStore(stream, options);
  const notices = await unpackRaw(task, (fd) => volume.store(fd));
  await volume.writeState();
  return notices;
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

async function spool(bytes: AsyncIterable<Buffer>): Promise<number> {
  const fd = openUnnamed();
  try {
    await writeRaw(fd, bytes);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

async function unpackRaw(
  task: UnpackTask,
  write: (fd: number) => number | Promise<number>,
  {isNew} = {isNew: false},
): Promise<string[]> {
  const fd = openSync(stagedRaw, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o644);
  try {
    const size = await write(fd);
    // importd gives a disk image the times and user attributes of its file (spec/engine.md §2).
    if (!isNew) copyUserAttributes(source, fd);
    fsyncSync(fd);
    if (!task.isPull) log(`Wrote ${size} bytes.`);
  } finally {
    closeSync(fd);
  }
  return [];
}

async function unpackTar(task: UnpackTask, bytes: AsyncIterable<Buffer>): Promise<string[]> {
  const top = makeTree();
  const writer = new TreeWriter(top, {maxEntries: task.maxEntries, needsDevices: process.geteuid?.() === 0});
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

async function unpackDirectory(directory: string): Promise<string[]> {
  send({type: 'sniffed', format: 'directory'});
  const notices = await importDirectory(directory, stagedTree, makeTree);
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

function reportLift(name: string): void {
  log(`Moved the OS tree in ${JSON.stringify(name)} one directory up.`);
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
