/**
 * Loads the native binding (native.c) on the first call and turns its errno results into errors.
 * Only the other files of this room import it.
 */
import {existsSync} from 'node:fs';
import {constants} from 'node:os';
import path from 'node:path';

/** A path or name as the kernel takes it; bytes where it may not be UTF-8. */
export type PathBytes = string | Buffer;

/** A running watch of socket.c; opaque. */
export interface Watch {
  readonly watch: unique symbol;
}

/** A maker of entry-batch.c; opaque. */
export interface EntryMakerHandle {
  readonly entries: unique symbol;
}

/** A decoder of xz-decoder.c; opaque. */
export interface XzHandle {
  readonly xz: unique symbol;
}

/** Blocks of bzip2-decoder.c; opaque. */
export interface Bzip2GroupHandle {
  readonly bzip2Group: unique symbol;
}

/** Memory of bzip2-decoder.c; opaque. */
export interface Bzip2RoomHandle {
  readonly bzip2Room: unique symbol;
}

/** A decoder of gzip-decoder.c; opaque. */
export interface GzipHandle {
  readonly gzip: unique symbol;
}

/** A decoder of zstd-codec.c; opaque. */
export interface ZstdDecoderHandle {
  readonly zstdDecoder: unique symbol;
}

/** An encoder of zstd-codec.c; opaque. */
export interface ZstdEncoderHandle {
  readonly zstdEncoder: unique symbol;
}

/** What takes parts out of cluster-batch.c; opaque. */
export interface ClusterHandle {
  readonly clusters: unique symbol;
}

/** A digest of digest.c; opaque. */
export interface DigestHandle {
  readonly digest: unique symbol;
}

/** Functions of native.c and the files beside it: a result, or a negative errno. Times are nanoseconds. */
export interface NativeBinding {
  flock(fd: number, operation: number): number;
  openat(dir: number, path: PathBytes, flags: number, mode: number): number;
  openat2(dir: number, path: PathBytes, flags: number, mode: number, resolve: number): number;
  mkdirat(dir: number, path: PathBytes, mode: number): number;
  symlinkat(target: PathBytes, dir: number, path: PathBytes): number;
  linkat(fromDir: number, from: PathBytes, toDir: number, to: PathBytes, flags: number): number;
  unlinkat(dir: number, path: PathBytes, flags: number): number;
  mknodat(dir: number, path: PathBytes, mode: number, major: number, minor: number): number;
  fchownat(dir: number, path: PathBytes, uid: number, gid: number, flags: number): number;
  fchmodat(dir: number, path: PathBytes, mode: number): number;
  renameat2(fromDir: number, from: PathBytes, toDir: number, to: PathBytes, flags: number): number;
  utimensat(dir: number, path: PathBytes, atimeNs: bigint, mtimeNs: bigint, flags: number): number;
  entryMaker(top: number): EntryMakerHandle;
  makeEntries(
    handle: EntryMakerHandle,
    table: Buffer,
    names: Buffer,
    contents: Buffer,
    count: number,
    from: number,
  ): Promise<number>;
  collectTarEntries(table: Buffer, names: Buffer, contents: Buffer, collection: Uint32Array): void;
  adoptFile(handle: EntryMakerHandle, fd: number, position: number): void;
  releaseFile(handle: EntryMakerHandle): number;
  closeMaker(handle: EntryMakerHandle): void;
  readSmall(dir: number, name: Buffer, into: Buffer, facts: Buffer): number;
  copyFile(fromDir: number, path: PathBytes, toDir: number): number;
  closeOnExec(): number;
  random(into: Buffer): number;
  ficlone(target: number, source: number): number;
  lseek(fd: number, offset: number, whence: number): number;
  punchHole(fd: number, offset: number, length: number): number;
  copyFileRange(source: number, from: number, target: number, to: number, length: number): number;
  duplicate(fd: number): number;
  peer(fd: number, wantsProcess: number): number;
  pollOut(fd: number, timeoutMs: number): number;
  writeEarly(fd: number): Promise<number>;
  syncEarly(fd: number): Promise<number>;
  writeSparse(fd: number, bytes: Buffer, offset: number): number;
  writeSparseBeside(fd: number, bytes: Buffer, offset: number): Promise<number>;
  digestOpen(algorithm: string): DigestHandle | undefined;
  digestUpdate(handle: DigestHandle, bytes: Buffer): Promise<number>;
  digestContents(handle: DigestHandle, fd: number, from: number, to: number): Promise<number>;
  digestRead(handle: DigestHandle): Buffer | undefined;
  syncfs(fd: number): number;
  syncfsBeside(fd: number): Promise<number>;
  missingNames(directory: string, wanted: string, suffix: string, takesDirectories: boolean): number | Buffer;
  copyBeside(source: number, target: number, from: number, to: number): Promise<number>;
  getAttributes(fd: number): number;
  setAttributes(fd: number, attributes: number): number;
  subvolumeCreate(dir: number, name: PathBytes): number;
  subvolumeSnapshot(dir: number, name: PathBytes, source: number, readOnly: number): number;
  subvolumeDestroy(dir: number, name: PathBytes): number;
  subvolumeGetFlags(fd: number): number;
  subvolumeSetFlags(fd: number, flags: number): number;
  subvolumeQuota(fd: number): number | Buffer;
  forbidCoreDumps(): number;
  unlockTerminal(master: number): number;
  makeRaw(fd: number): number;
  setXattr(file: number | PathBytes, name: PathBytes, value: Buffer): number;
  removeXattr(file: number | PathBytes, name: PathBytes): number;
  getXattr(file: number | PathBytes, name: PathBytes): number | Buffer;
  listXattrs(file: number | PathBytes): number | Buffer;
  xzOpen(maxMemoryBytes: number, threads: number): XzHandle | undefined;
  xzStep(handle: XzHandle, input: Buffer, output: Buffer, report: Buffer, isLast: boolean): Promise<number>;
  bzip2Find(bytes: Buffer, fromBit: number): number;
  bzip2Room(): Bzip2RoomHandle | undefined;
  bzip2RoomEnd(room: Bzip2RoomHandle): void;
  bzip2Decode(
    room: Bzip2RoomHandle,
    bytes: Buffer,
    pairs: Buffer,
    maxTextBytes: number,
  ): [group: Bzip2GroupHandle, good: Promise<number>];
  bzip2Expand(group: Bzip2GroupHandle, index: number, output: Buffer): number;
  gzipDecoder(): GzipHandle;
  gzipDecode(handle: GzipHandle, input: Buffer, ring: Buffer, report: Buffer, most: number): Promise<number>;
  zstdDecoder(): ZstdDecoderHandle | undefined;
  zstdDecode(
    handle: ZstdDecoderHandle,
    input: Buffer,
    ring: Buffer,
    report: Buffer,
    mostBytes: number,
  ): Promise<number>;
  zstdEncoder(parameters: Buffer): ZstdEncoderHandle | undefined;
  wantLargePages(buffer: Buffer): void;
  zstdEncode(
    handle: ZstdEncoderHandle,
    input: Buffer,
    output: Buffer,
    fd: number,
    offset: number,
  ): Promise<number>;
  clusterUnpacker(
    kind: number,
    clusterBytes: number,
    roomBytes: number,
    windowLog: number,
  ): ClusterHandle | undefined;
  unpackClusters(
    handle: ClusterHandle,
    parts: Buffer,
    report: Buffer,
    source: number,
    target: number,
  ): Promise<number>;
  fletcher4(state: Buffer, bytes: Buffer): number;
  sendDatagram(address: Buffer, bytes: Buffer): number;
  connectUnix(address: Buffer): number;
  sendMessage(fd: number, bytes: Buffer, fds: readonly number[]): number;
  receiveMessage(fd: number, into: Buffer, fds: number[]): number;
  watchOpen(fd: number, listener: (events: number) => void): number | Watch;
  watchArm(watch: Watch, events: number): number;
  watchClose(watch: Watch): number;
}

/** A failed system call. `code` is the errno name, as in Node's own file system errors. */
export class SystemError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
  readonly path: string | undefined;

  constructor(errno: number, syscall: string, subject?: PathBytes) {
    const code = errnoNames.get(errno) ?? `E${errno}`;
    const file = subject?.toString();
    super(file === undefined ? `${code}: ${syscall}` : `${code}: ${syscall} "${file}"`);
    this.name = 'SystemError';
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
    this.path = file;
  }
}

// Two names share a number; the ones Node itself uses win.
const errnoNames = new Map(Object.entries(constants.errno).map(([name, errno]) => [errno, name]));
errnoNames.set(constants.errno.EAGAIN, 'EAGAIN');
errnoNames.set(constants.errno.ENOTSUP, 'ENOTSUP');

let binding: NativeBinding | undefined;

export function native(): NativeBinding {
  if (!binding) {
    // Not by `require`, which bundles of another format lack.
    const loaded: {exports: unknown} = {exports: {}};
    process.dlopen(loaded, findBinding());
    binding = loaded.exports as NativeBinding;
  }
  return binding;
}

/** Bundles lie in dist/ or dist/chunks/, sources in src/sys/; the binding is always dist/native.node. */
function findBinding(): string {
  for (let directory = import.meta.dirname; ; directory = path.dirname(directory)) {
    const candidate = path.join(directory, 'dist', 'native.node');
    if (existsSync(candidate)) return candidate;
    if (directory === path.dirname(directory)) {
      throw new Error('The native binding is missing: dist/native.node (npm run build)');
    }
  }
}

/** The result of a call of the binding, or its error thrown. */
export function checked<Result extends number | Buffer>(
  result: Result | number,
  syscall: string,
  subject?: PathBytes,
): Result {
  if (typeof result === 'number' && result < 0) throw new SystemError(-result, syscall, subject);
  return result as Result;
}
