/** What was recorded of real ZFS (the fixtures' README): every stream that can be read. */

/** The stream, the truth, and what it is applied over. */
export const recordedFileSystems: readonly [stream: string, truth: string, over?: readonly string[]][] = [
  ['fs-plain', 'fs-plain'],
  ['fs-c-lz4', 'fs-plain'],
  ['fs-e', 'fs-plain'],
  ['fs-p', 'fs-plain'],
  ['fs-incr', 'fs-incr', ['fs-plain']],
  ['fs-incr-Lec', 'fs-incr', ['fs-plain']],
  ['fs-incr2', 'fs-incr2', ['fs-plain', 'fs-incr']],
  ['fs-replicate', 'fs-incr2', ['fs-plain']],
  ['fs-1m-Lec', 'fs-1m'],
  ['fs-1m-split', 'fs-1m'],
  ['fs-1m-incr-L', 'fs-1m-incr', ['fs-1m-split']],
  ['fs-1m-incr-L', 'fs-1m-incr', ['fs-1m-Lec']],
  ['fs-1m-incr-split', 'fs-1m-incr', ['fs-1m-split']],
  ['fs-1m-incr-split', 'fs-1m-incr', ['fs-1m-Lec']],
  ['fs-embspill-ec', 'fs-embspill-ec'],
  ['fs-mixcomp-c', 'fs-mixcomp'],
  ['fs-mixcomp-ec', 'fs-mixcomp'],
  ['fs-zstd-c', 'fs-zstd'],
  ['fs-gzip-c', 'fs-gzip'],
  ['fs-v28-zpl5', 'fs-v28-zpl5'],
  ['fs-v28-zpl4', 'fs-v28-zpl4'],
  ['fs-v28-zpl3', 'fs-v28-zpl3'],
  ['fs-ci', 'fs-ci'],
  ['fs-r16', 'fs-r16'],
];

export const recordedVolumes: readonly [stream: string, truth: string, over?: readonly string[]][] = [
  ['zvol-8K-plain', 'zvol-8K'],
  ['zvol-8K-c', 'zvol-8K'],
  ['zvol-8K-p', 'zvol-8K'],
  ['zvol-16K-plain', 'zvol-16K'],
  ['zvol-16K-c', 'zvol-16K'],
  ['zvol-64K-plain', 'zvol-64K'],
  ['zvol-64K-c', 'zvol-64K'],
  ['zvol-8K-incr', 'zvol-8K-incr', ['zvol-8K-plain']],
  ['zvol-8K-incr-c', 'zvol-8K-incr', ['zvol-8K-c']],
  ['zvol-64K-incr', 'zvol-64K-incr', ['zvol-64K-c']],
  ['zvol-64K-incr-c', 'zvol-64K-incr', ['zvol-64K-plain']],
  ['zvol-v28', 'zvol-v28'],
];
