/**
 * The storage engine: what moves image data and keeps it in class directories (style.md §2, design.md §6).
 * Two implementations: `embedded/` here, and a client of org.freedesktop.import1 in `src/dbus/client/`. Whoever uses an
 * engine sees only this file. Removing, cloning and marking are separate small interfaces, because
 * import1 has no methods for them.
 */

import type {ImageClass} from '../import1/image-class.ts';

/** What the bytes are once decompressed; `auto` lets the engine sniff them. */
export type ImageFormat = 'auto' | 'tar' | 'raw' | 'directory';

export type TransferType =
  | 'import-tar'
  | 'import-raw'
  | 'import-fs'
  | 'export-tar'
  | 'export-raw'
  | 'pull-tar'
  | 'pull-raw';

/** A place that holds images: a class and its directory. The directory is made (0700) when missing. */
export interface ImageStore {
  imageClass: ImageClass;
  /** Absolute path of the class directory. */
  directory: string;
  /** Set for a pool of type zfs: images are datasets below this one, and `directory` only says where they are mounted. */
  dataset?: string;
}

/** What a file was when it was verified. */
export interface FileFacts {
  sizeBytes: number;
  /** Hex; one of the two is there. */
  sha1?: string;
  sha256?: string;
}

export interface ImportRequest {
  format: ImageFormat;
  store: ImageStore;
  /** Name of the image in the store; must be a valid local name. */
  localName: string;
  /** Absolute path of the file (of any known compression) or directory; with `sourceFd` only what logs call the source. */
  sourcePath: string;
  /**
   * Of a file that has been verified: what is handed to another process is compared with it again, through the very
   * descriptor that is sent, in a place where nobody else can write (design.md §6).
   */
  facts?: FileFacts;
  /**
   * The source, open: a file, read from its position; a pipe or socket, made non-blocking and read to its end before it
   * is looked at; or a directory, which must be reachable by path too. The caller closes it when `finished` has settled.
   */
  sourceFd?: number;
  /** Replace every form of the name that is there. */
  force?: boolean;
  readOnly?: boolean;
  /** Decompressed bytes above this end the import (`LimitExceeded`). Services have a limit of their own instead. */
  maxUnpackedBytes?: number;
  /** The installed image that a stream of changes is applied to; whole images do without. */
  origin?: {store: ImageStore; localName: string};
  /** Tell `beforeCommit` the digest of what was stored, unless this user may not read all of it. */
  digestContents?: boolean;
  /**
   * Called once, after the data is complete and synced under a temporary name and before it becomes
   * visible. A rejection ends the transfer and removes the temporary data. Over the bus it is called
   * before the call, since nothing can be inserted later, and knows nothing of the data.
   */
  beforeCommit?: (stored: {contentDigest?: string | undefined}) => Promise<void>;
  signal?: AbortSignal;
}

/** A file that is still being received. */
export interface ArrivingFile {
  /** Of the whole. */
  sizeBytes: number;
  /** Tells the listener, now and from now on, how far it reaches; what is before that stays as it is. */
  follow(listener: (sizeBytes: number, isWhole: boolean) => void): void;
}

/** How a download is verified; a digest is the file's SHA-256 in lower-case hex (spec/engine.md §3). */
export type VerifyMode = 'no' | 'checksum' | 'signature' | {sha256: string};

export interface PullRequest {
  format: 'tar' | 'raw';
  store: ImageStore;
  /** http, https or file. */
  url: string;
  /** Undefined: only the download copy is kept. */
  localName: string | undefined;
  verify: VerifyMode;
  force?: boolean;
  readOnly?: boolean;
  /** Keep the hidden, read-only download copy, and use one that is there and still current. */
  keepDownload?: boolean;
  signal?: AbortSignal;
}

export type ExportCompression = 'uncompressed' | 'xz' | 'gzip' | 'bzip2' | 'zstd';

export interface ExportRequest {
  /** A tree or a disk. From a pool of type zfs both come as a ZFS send stream. */
  format: 'tar' | 'raw';
  store: ImageStore;
  localName: string;
  compression: ExportCompression;
  /** Compress on all cores, in blocks whose bytes do not depend on how many there are. */
  parallel?: boolean;
  /**
   * Open for writing: a file, pipe or socket, blocking or not, from its position. The caller closes it when `finished` has
   * settled. It is not synced; a failed export leaves half of it: `writeOutputFile` (src/sys/output-file.ts) makes whole files.
   */
  outputFd: number;
  /** How log lines name the output; what the descriptor leads to when absent. */
  outputName?: string;
  /** Tell what was written to a pipe or socket, which nobody can read again. Engines that cannot know it leave it out. */
  digestOutput?: boolean;
  signal?: AbortSignal;
}

/** One running pull, import or export. */
export interface Transfer {
  /** Unique among the running transfers of the engine. */
  readonly id: number;
  readonly type: TransferType;
  readonly imageClass: ImageClass;
  readonly localName: string;
  /** The URL of a pull; empty for imports and exports. */
  readonly remote: string;
  /** Listeners get a fraction 0..1, or undefined while unknown. Returns a function that stops it. */
  onProgress(listener: (fraction: number | undefined) => void): () => void;
  /** Listeners get the engine's own log lines with their syslog level (0..7). */
  onLog(listener: (level: number, line: string) => void): () => void;
  /** Asks the transfer to stop; it then ends by rejecting `finished` with `Interrupted`. */
  cancel(): void;
  /**
   * Resolves when the image is in place; rejects with an ImgctlError, with nothing left behind. One whose details have
   * `outcome: 'unknown'` is about a service that cannot be heard any more, or a failing disk: the image may appear, whole.
   */
  readonly finished: Promise<TransferResult>;
}

/** How the bytes of a pull were verified, and by which key. */
export interface Verification {
  level: 'none' | 'checksum' | 'signature';
  sha256: string;
  /** Fingerprint of the key whose signature was good. */
  keyFingerprint?: string;
}

export interface TransferResult {
  /** Absolute path of the image now in place; of the exported image for an export. */
  path: string;
  format: 'tar' | 'raw' | 'directory';
  /** Of pulls. */
  verification?: Verification;
  /** Of incremental exports: digest of the base's contents, `sha256:HEX`. */
  baseDigest?: string;
  /** Of exports that asked for it: all that was written. */
  output?: {sha256: string; sizeBytes: number};
  /** Parts of the input that this user or file system could not keep, a sentence each. */
  notices: string[];
}

export interface TransferSummary {
  id: number;
  type: TransferType;
  imageClass: ImageClass;
  localName: string;
  remote: string;
  fraction: number | undefined;
}

export interface StoredImage {
  imageClass: ImageClass;
  name: string;
  type: 'directory' | 'subvolume' | 'raw' | 'block';
  path: string;
  readOnly: boolean;
  /** Microseconds since the epoch; 0 when unknown, and for the change of a plain directory. */
  createdUs: number;
  modifiedUs: number;
  /** Allocated bytes; undefined when the file system cannot tell cheaply. */
  usageBytes: number | undefined;
  limitBytes: number | undefined;
  /** In a pool of type zfs: full names of its dataset, its snapshots but `@final`, and what was cloned from any of them. */
  zfs?: {dataset: string; snapshots: string[]; clones: string[]};
  /** Of subvolumes that are counted: what would be free without the image, and the limit of that. */
  exclusiveBytes?: number;
  exclusiveLimitBytes?: number;
  /** Of what was pulled here. */
  verification?: Verification;
}

export interface Engine {
  readonly name: 'embedded' | 'dbus';
  /** Stores a local file as an image. Rejects at once for a bad name or a name that exists. */
  import(request: ImportRequest): Promise<Transfer>;
  /**
   * Writes an image to an open descriptor. Rejects at once for a bad name or descriptor; an image that is missing
   * (`ImageNotInstalled`) or of the other kind (`InvalidArgument`, with `details.errno` `EISDIR` or `ENOTDIR`)
   * fails the transfer. A reader that goes away ends it with `FileSystem` and `details.errno` `EPIPE`.
   */
  export(request: ExportRequest): Promise<Transfer>;
  /**
   * Downloads an image and stores it. Rejects at once for a bad URL or name or a name that exists; everything else is
   * seen by the transfer, whose log lines are those of systemd-importd. A file that the server did not send is not
   * stored, nor one that is not verified as asked; what had arrived is gone on with by the next pull of the URL.
   */
  pull(request: PullRequest): Promise<Transfer>;
  /** Transfers that run now, of this and other processes. */
  listTransfers(): Promise<TransferSummary[]>;
  /**
   * Images in a store, by name, without temporary data. Hidden ones, which are the download copies and, in class
   * machine, the running system as `.host`, come only when asked for, and with them what takes a look into each image:
   * the space that subvolumes take, and how a download was verified.
   */
  listImages(store: ImageStore, options?: {withHidden?: boolean}): Promise<StoredImage[]>;
}

/** The image that an incremental one is made over; it is not written to, and must not go away meanwhile. */
export interface BaseImage {
  store: ImageStore;
  localName: string;
}

/**
 * An engine that makes and stores incremental images (design.md §5): tar as an OCI layer over the base, raw as a qcow2
 * image of changed clusters. The digest is of the base's contents, the same wherever it was imported.
 */
export interface DeltaEngine {
  /** `finished` resolves with `baseDigest`. */
  exportDelta(request: ExportRequest & {base: BaseImage}): Promise<Transfer>;
  /** With a digest that the base does not have it fails with `OriginMismatch`, and nothing is stored. */
  importDelta(request: ImportRequest & {base: BaseImage; baseDigest?: string}): Promise<Transfer>;
}

/** An engine that can begin to store a file before all of it is there (design.md §6). */
export interface ArrivalImporter {
  /** Whether it does so in this store, if not in all. */
  importsArriving?(store: ImageStore): boolean;
  /**
   * As `import`, of the file behind `sourceFd`, and not done before that is whole: the caller says so when it has been
   * verified, and aborts when it will never be.
   */
  importArriving(request: ImportRequest & {sourceFd: number; arrival: ArrivingFile}): Promise<Transfer>;
}

/** An engine that can delete an image, read-only ones too. Resolves false if it was not there. */
export interface ImageRemover {
  removeImage(store: ImageStore, name: string): Promise<boolean>;
}

/** An engine that can mark an image read-only after the fact. */
export interface ImageMarker {
  markReadOnly(store: ImageStore, name: string): Promise<void>;
}

/** An engine that can make a writable copy of an image of class machine in its store. */
export interface ImageCloner {
  /** Whether it does so in this store, if not in all: elsewhere the caller copies the image itself. */
  clonesIn?(store: ImageStore): boolean;
  /** Resolves with the path of the copy; `InstanceExists` if the name is taken. */
  cloneImage(store: ImageStore, name: string, cloneName: string): Promise<string>;
}

/** An engine that can tell what an image holds now. */
export interface ImageDigester {
  /** `sha256:HEX`, the same wherever the file was imported. */
  digestImage(store: ImageStore, name: string, signal: AbortSignal): Promise<string>;
}

/**
 * An engine whose transfers can be stopped by id, also those of other processes. False if there is none; resolves when
 * the transfer has ended, or at the latest some seconds later.
 */
export interface TransferCanceller {
  cancelTransfer(id: number): Promise<boolean>;
}

export type ConvertFormat = 'tar' | 'raw' | 'qcow2';

export interface ConvertRequest {
  /** Absolute path of a file: tar, raw, qcow2 or a whole ZFS send stream, with any known compression. */
  sourcePath: string;
  to: ConvertFormat;
  /** Absolute path; appears when it is whole. */
  outputPath: string;
  /** Replace what has that name. */
  force?: boolean;
  onProgress?: (fraction: number) => void;
  signal?: AbortSignal;
}

export interface ConvertResult {
  path: string;
  sizeBytes: number;
  /** Parts of the input that the format cannot hold, a sentence each. */
  notices: string[];
}

/** An engine that makes another format of a file, apart from any image. */
export interface FileConverter {
  convertFile(request: ConvertRequest): Promise<ConvertResult>;
}
