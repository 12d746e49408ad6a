/** What an archive holds. */
import type {DataRun} from './sparse.ts';

export type TarEntryType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'char' | 'block' | 'fifo';

export interface TarEntry {
  type: TarEntryType;
  /** As stored: bytes, possibly absolute or with `..`. */
  path: Buffer;
  linkPath: Buffer;
  /** The twelve permission bits. */
  mode: number;
  uid: number;
  gid: number;
  mtimeNs: bigint;
  /** Size of the file, holes included; 0 for other types. */
  size: number;
  major: number;
  minor: number;
  xattrs: Map<string, Buffer>;
  /** An access control list was left out, because it names users instead of numbers. */
  hasForeignAcl: boolean;
  /**
   * The contents, in order; what lies between runs is a hole. May be read once and only until the next entry
   * is asked for, which skips what was not read.
   */
  body(): AsyncGenerator<DataRun>;
  /** Of a file without holes: its contents for those who want to wait as seldom as possible. Instead of `body`. */
  plain?: PlainBody;
}

export interface PlainBody {
  /** What is there of the contents and was not taken yet; it may be nothing. Good as long as the source's chunk is. */
  takeReady(): Buffer;
  /** Resolves when there is more to take. */
  more(): Promise<void>;
}
