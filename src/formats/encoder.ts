/** What turns bytes into compressed bytes. */

export type OutputCompression = 'uncompressed' | 'xz' | 'gzip' | 'bzip2' | 'zstd';
export type Encoder = (source: AsyncIterable<Buffer>) => AsyncIterable<Buffer>;
