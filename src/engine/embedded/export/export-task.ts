import type {ExportCompression} from '../../engine.ts';

/** What the exporting child is told. A disk image is its standard input; descriptor 3 takes the output. */
export interface ExportTask {
  compression: ExportCompression;
  /** Tell the digest of the contents and write nothing. */
  digestOnly?: boolean;
  /** Tell the digest of what was written, where that is no file. */
  digestOutput?: boolean;
  /** How many cores compress; undefined: one, in one piece. */
  cores?: number;
  /** Absolute path of the tree, for a tar archive. */
  directory?: string;
  /** Write only what differs from a base: the tree named here, or the disk that is `baseFd`. */
  base?: {directory?: string};
}

export const outputFd = 3;
export const baseFd = 4;
