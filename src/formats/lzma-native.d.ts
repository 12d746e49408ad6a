/** The part of lzma-native that xz.ts uses. */
declare module 'lzma-native' {
  import type {Transform} from 'node:stream';

  interface DecoderOptions {
    memlimit: number;
    flags: number;
    bufsize: number;
  }

  const lzma: {
    readonly CONCATENATED: number;
    createStream(coder: 'streamDecoder', options: DecoderOptions): Transform;
  };
  export default lzma;
}
