/** The part of seek-bzip that bzip2.ts uses: the decoder's steps, so that it never waits inside a block. */
declare module 'seek-bzip' {
  export interface ByteInput {
    readByte(): number;
    read(target: Buffer, offset: number, length: number): number;
  }

  export interface ByteOutput {
    writeByte(byte: number): void;
  }

  class Bunzip {
    constructor(input: ByteInput, output: ByteOutput);
    readonly reader: {read(bits: number): number};
    readonly streamCRC: number;
    /** Decodes the next block; false at the end of the stream. */
    _init_block(): boolean;
    /** Writes the decoded block to the output. */
    _read_bunzip(): void;
  }
  export default Bunzip;
}
