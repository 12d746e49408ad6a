/** What an import reads: an open file, or a directory by its path. Pipes and sockets are copied to a file first. */
import {
  closeSync,
  constants,
  createReadStream,
  fstatSync,
  openSync,
  readlinkSync,
  type Stats,
  statSync,
  writeSync,
} from 'node:fs';
import {Socket} from 'node:net';
import {addAbortSignal, type Readable} from 'node:stream';
import {ImgctlError} from '../../errors.ts';
import {descriptorFlags, duplicate, openNameless} from '../../sys/descriptors.ts';
import type {ImportRequest} from '../engine.ts';
import type {SourceDirectory} from './child-protocol.ts';

export interface ImportSource extends AsyncDisposable {
  /** Of a file; read from its start. */
  fd: number | undefined;
  directory: SourceDirectory | undefined;
}

interface SpoolOptions {
  maxBytes: number;
  signal: AbortSignal;
  /** Called before a copy is made that takes as long as the other end does. */
  onWait: () => void;
}

export async function openImportSource(request: ImportRequest, options: SpoolOptions): Promise<ImportSource> {
  const {format, sourcePath, sourceFd, store} = request;
  if (format === 'directory') return directorySource(request);
  if (sourceFd === undefined) return await openPath(sourcePath, store.directory, options);
  const {canRead, position} = descriptorFlags(sourceFd);
  if (!canRead) throw new ImgctlError('InvalidArgument', `"${sourcePath}" is not open for reading`);
  const stats = fstatSync(sourceFd);
  if (stats.isFile() && position === 0) return {fd: sourceFd, directory: undefined, ...nothingToClose};
  const input = inputOf(sourceFd, stats);
  if (!input) throw new ImgctlError('InvalidArgument', `"${sourcePath}" is no file, pipe or socket`);
  return ownSource(await spool(input, store.directory, options));
}

/** A file, or what can be read only once: a pipe or a device. */
async function openPath(place: string, directory: string, options: SpoolOptions): Promise<ImportSource> {
  const fd = openSync(place, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(fd);
    if (stats.isFile()) return ownSource(fd);
    if (stats.isDirectory()) throw new ImgctlError('InvalidArgument', `"${place}" is a directory`);
    const input = inputOf(fd, stats) ?? createReadStream(place);
    const spooled = await spool(input, directory, options);
    closeSync(fd);
    return ownSource(spooled);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Whether a descriptor's bytes come when somebody sends them. */
export function isStream(fd: number | undefined): boolean {
  if (fd === undefined) return false;
  const stats = fstatSync(fd);
  return stats.isFIFO() || stats.isSocket();
}

/** What tells two directories apart. */
export function identityOf(fd: number): string {
  const {dev, ino} = fstatSync(fd, {bigint: true});
  return `${dev}:${ino}`;
}

const nothingToClose = {[Symbol.asyncDispose]: async () => undefined};

function ownSource(fd: number): ImportSource {
  return {fd, directory: undefined, [Symbol.asyncDispose]: async () => closeSync(fd)};
}

/** The child opens it itself, because a descriptor would lead out of its sandbox. */
function directorySource({sourcePath, sourceFd}: ImportRequest): ImportSource {
  const place = sourceFd === undefined ? sourcePath : readlinkSync(`/proc/self/fd/${sourceFd}`);
  if (!statSync(place, {throwIfNoEntry: sourceFd === undefined})?.isDirectory())
    throw new ImgctlError('InvalidArgument', `"${place}" is not a directory`);
  const directory = {path: place, ...(sourceFd !== undefined && {identity: identityOf(sourceFd)})};
  return {fd: undefined, directory, ...nothingToClose};
}

/**
 * A stream that owns its descriptor. A pipe must not be opened anew: one whose writers have gone by then never tells
 * that it has ended.
 */
function inputOf(fd: number, stats: Stats): Readable | undefined {
  if (stats.isFile()) return createReadStream('', {fd, autoClose: false});
  if (!stats.isFIFO() && !stats.isSocket()) return undefined;
  return new Socket({fd: duplicate(fd), readable: true, writable: false});
}

async function spool(input: Readable, directory: string, options: SpoolOptions): Promise<number> {
  const {maxBytes, signal, onWait} = options;
  const fd = openNameless(directory);
  try {
    onWait();
    let total = 0;
    for await (const chunk of addAbortSignal(signal, input)) {
      total += chunk.length;
      if (total > maxBytes)
        throw new ImgctlError('LimitExceeded', `The input is longer than ${maxBytes} bytes`);
      for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
    }
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
