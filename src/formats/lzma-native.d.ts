/** The part of lzma-native that xz.ts, compress.ts and parallel-compress.ts use. */
declare module 'lzma-native' {
  import type {Transform} from 'node:stream';

  interface DecoderOptions {
    memlimit: number;
    flags: number;
    bufsize: number;
  }

  interface EncoderOptions {
    preset: number;
    check: number;
    bufsize: number;
    threads?: number;
    blockSize?: number;
  }

  const lzma: {
    readonly CHECK_CRC64: number;
    readonly CONCATENATED: number;
    createStream(coder: 'streamDecoder', options: DecoderOptions): Transform;
    createStream(coder: 'easyEncoder', options: EncoderOptions): Transform;
  };
  export default lzma;
}
