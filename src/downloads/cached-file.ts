/** A complete file of the download cache whose size and digests were compared (design.md §4, §6). */
export interface CachedFile {
  path: string;
  sizeBytes: number;
  /** Hex digests of the bytes as transferred. */
  sha1: string;
  sha256: string;
  /** Bytes that were already here, from an earlier run or another process. */
  reusedBytes: number;
  /** Ends the use of the file; from then on the cache may evict it. Call exactly once. */
  release(): Promise<void>;
}

/** A download that broke in the middle and is about to be continued. */
export interface FetchRetry {
  attempt: number;
  of: number;
  waitMs: number;
  cause: string;
}

export interface FetchProgress {
  /** Bytes of the file present and hashed so far, and the size of the whole, when known. */
  doneBytes: number;
  totalBytes: number | undefined;
  /** Where this run took up an earlier download; 0 for a fresh one. */
  resumedAtBytes: number;
  /** What is going on: bytes arrive, old bytes are hashed again, or another process downloads. */
  phase: 'download' | 'verify' | 'wait';
}
