/**
 * What is handed to a service over the bus: an open descriptor of a file that has been looked at, and compared with its
 * digests, through that very descriptor. A file that another user could change meanwhile is copied first.
 */
import {createHash, randomUUID} from 'node:crypto';
import {closeSync, constants, fstatSync, openSync, readSync, statSync, unlinkSync} from 'node:fs';
import {mkdir, open} from 'node:fs/promises';
import path from 'node:path';
import type {FileFacts, ImportRequest} from '../../engine/engine.ts';
import {errnoOf, ImgctlError} from '../../errors.ts';
import {decompress} from '../../formats/decompress.ts';
import {readQcow2Header} from '../../formats/qcow2/header.ts';
import {type Payload, sniffBytes, sniffCompression, sniffPayload} from '../../formats/sniff.ts';
import {moveTo, positionOf} from '../../sys/contents.ts';
import {copyFileContents} from '../../sys/copy-file.ts';
import type {ServiceTraits} from './import1-service.ts';

const chunkBytes = 1024 * 1024;
/** A qcow2 header with its extensions; sniffing needs less. */
const headBytes = Math.max(4096, sniffBytes);

export interface OpenSource {
  fd: number;
  format: 'tar' | 'raw' | 'directory';
}

export interface SourceOptions {
  request: ImportRequest;
  /** For private copies; made (0700) when missing. */
  scratchDirectory: string;
  /** What the service it is for can read. */
  traits: ServiceTraits;
}

/** The caller closes the descriptor. Fails as the embedded engine does for what cannot be stored. */
export async function openSource(options: SourceOptions): Promise<OpenSource> {
  const {request} = options;
  const {format, sourcePath, facts} = request;
  const opened = await openInput(request);
  if (format === 'directory') return {fd: opened, format};
  let fd = opened;
  try {
    if (!fstatSync(fd).isFile()) return {fd, format: formatOfPipe(request)};
    if (facts && !isOurs(fd, sourcePath)) {
      fd = await privateCopy(opened, options);
      closeSync(opened);
    }
    if (facts) await compare(fd, sourcePath, {facts, signal: request.signal});
    return {fd, format: await findFormat(fd, options)};
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** A descriptor of its own, without flags, at the place where that of the request stands. */
async function openInput({format, sourcePath, sourceFd}: ImportRequest): Promise<number> {
  const place = sourceFd === undefined ? sourcePath : `/proc/self/fd/${sourceFd}`;
  if (sourceFd !== undefined && fstatSync(sourceFd).isSocket()) {
    throw new ImgctlError('NotSupported', `"${sourcePath}" is a socket, which services do not take`);
  }
  const flags = format === 'directory' ? constants.O_DIRECTORY : constants.O_NONBLOCK;
  const probe = openSync(place, constants.O_RDONLY | flags);
  if (format === 'directory') return probe;
  try {
    const stats = fstatSync(probe);
    if (!stats.isFile() && !stats.isFIFO()) {
      throw new ImgctlError('InvalidArgument', `"${sourcePath}" is not a regular file`);
    }
    const fd = await openBlocking(probe);
    if (sourceFd !== undefined && stats.isFile()) moveTo(fd, positionOf(sourceFd));
    return fd;
  } finally {
    closeSync(probe);
  }
}

/** Services refuse descriptors that do not block. The first one of a pipe waits for its writer. */
async function openBlocking(probe: number): Promise<number> {
  const handle = await open(`/proc/self/fd/${probe}`, constants.O_RDONLY);
  try {
    return openSync(`/proc/self/fd/${handle.fd}`, constants.O_RDONLY);
  } finally {
    await handle.close();
  }
}

function formatOfPipe({format, sourcePath, facts}: ImportRequest): 'tar' | 'raw' {
  if (facts || format === 'auto' || format === 'directory') {
    throw new ImgctlError('InvalidArgument', `"${sourcePath}" is not a regular file`);
  }
  return format;
}

/** Nobody but this user and root can write the file, or put another in its place. */
function isOurs(fd: number, file: string): boolean {
  const uid = process.geteuid?.();
  const directory = statSync(path.dirname(file));
  return [fstatSync(fd), directory].every((stats) => {
    return (stats.uid === uid || stats.uid === 0) && (stats.mode & 0o022) === 0;
  });
}

/** A copy without a name. */
async function privateCopy(source: number, {scratchDirectory, request}: SourceOptions): Promise<number> {
  await mkdir(scratchDirectory, {recursive: true, mode: 0o700});
  const copy = path.join(scratchDirectory, `.#${randomUUID()}`);
  const target = openSync(copy, 'wx+', 0o600);
  try {
    const readable = openSync(copy, 'r');
    unlinkSync(copy);
    await copyFileContents(source, target, request.signal ? {signal: request.signal} : {});
    return readable;
  } finally {
    closeSync(target);
  }
}

async function compare(
  fd: number,
  file: string,
  {facts, signal}: {facts: FileFacts; signal: AbortSignal | undefined},
): Promise<void> {
  const name = facts.sha256 === undefined ? 'sha1' : 'sha256';
  const hash = createHash(name);
  let sizeBytes = 0;
  for await (const chunk of chunksOf(fd)) {
    if (signal?.aborted) throw new ImgctlError('Interrupted', `Reading "${file}" was interrupted`);
    hash.update(chunk);
    sizeBytes += chunk.length;
  }
  const [found, wanted] = [hash.digest('hex'), facts[name]];
  if (sizeBytes === facts.sizeBytes && found === wanted) return;
  const text = `"${file}" is not what was verified: expected ${facts.sizeBytes} bytes, ${name} ${wanted}; found ${sizeBytes} bytes, ${found}`;
  throw new ImgctlError('ChecksumError', text);
}

async function findFormat(fd: number, options: SourceOptions): Promise<'tar' | 'raw'> {
  const {request, traits} = options;
  const {sourcePath: file} = request;
  const compression = sniffCompression(readStart(fd, sniffBytes));
  if (!traits.decodesZstd && (compression === 'zstd' || compression === 'lz4')) {
    throw new ImgctlError(
      'NotSupported',
      `"${file}" is compressed with ${compression}, which the service does not decode`,
      {
        hint: 'use --engine embedded, or systemd-importd of version 260 or newer',
      },
    );
  }
  const head = compression === 'none' ? readStart(fd, headBytes) : await decompressedHead(fd, compression);
  const payload = sniffPayload(head.subarray(0, sniffBytes));
  refusePayload(file, {payload, head, traits});
  if (request.format === 'tar' || request.format === 'raw') return request.format;
  return payload === 'tar' ? 'tar' : 'raw';
}

/** importd reads a qcow2 image with a backing file as if that were empty, and fails with others only in the middle. */
function refusePayload(
  file: string,
  {payload, head, traits}: {payload: Payload; head: Buffer; traits: ServiceTraits},
): void {
  if (payload === 'zfs') {
    throw new ImgctlError(
      'NotSupported',
      `"${file}" is a ZFS send stream, which cannot be stored by a service`,
    );
  }
  if (payload !== 'qcow2') return;
  const read = (position: number, length: number) => head.subarray(position, position + length);
  const header = readQcow2Header({size: Number.MAX_SAFE_INTEGER, read}, Number.MAX_SAFE_INTEGER);
  if (traits.readsAnyQcow2) return;
  const faults: [boolean, string][] = [
    [header.compression === 'zstd', 'zstd clusters'],
    [header.hasExtendedL2, 'subclusters'],
    [header.virtualSize % header.clusterSize !== 0, 'a disk that ends within a cluster'],
  ];
  const [, what] = faults.find(([isFaulty]) => isFaulty) ?? [];
  if (what === undefined) return;
  const text = `"${file}" is a qcow2 image with ${what}, which systemd-importd cannot read`;
  throw new ImgctlError('NotSupported', text, {hint: 'use --engine embedded'});
}

async function decompressedHead(
  fd: number,
  compression: 'gzip' | 'xz' | 'zstd' | 'bzip2' | 'lz4',
): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of decompress(chunksOf(fd), compression)) {
    parts.push(chunk);
    length += chunk.length;
    if (length >= headBytes) break;
  }
  return Buffer.concat(parts).subarray(0, headBytes);
}

/** From where the descriptor stands, without moving it: that place is the receiver's. */
async function* chunksOf(fd: number): AsyncGenerator<Buffer> {
  for (let position = positionOf(fd); ; ) {
    const buffer = Buffer.allocUnsafeSlow(chunkBytes);
    const length = readSync(fd, buffer, 0, chunkBytes, position);
    if (length === 0) return;
    position += length;
    yield buffer.subarray(0, length);
  }
}

function readStart(fd: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  return buffer.subarray(0, readSync(fd, buffer, 0, length, positionOf(fd)));
}

/** What went wrong before anything was asked of the service. */
export function asSourceError(error: unknown, file: string): unknown {
  if (error instanceof ImgctlError || errnoOf(error) === undefined) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new ImgctlError('FileSystem', `Reading "${file}" failed: ${reason}`, {cause: error});
}
