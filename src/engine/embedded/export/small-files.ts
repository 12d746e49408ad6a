/** Small files of a tree, many to a piece of its archive: each alone would cost ten calls and as many turns. */
import {blockSize} from '../../../formats/tar-header.ts';
import {encodeTarHeader, tarPadding} from '../../../formats/tar-writer.ts';
import {lastFacts, readSmallFile} from '../../../sys/small-file.ts';

const pieceBytes = 512 * 1024;
const noXattrs = new Map<string, Buffer>();

export class SmallFiles {
  readonly #reuse: boolean;
  readonly #piece = Buffer.allocUnsafeSlow(pieceBytes);
  #filled = 0;

  /** With `reuse` a piece is good until the next is asked for. */
  constructor({reuse}: {reuse: boolean}) {
    this.#reuse = reuse;
  }

  /** What is `other` has to go another way. Where it is `full`, what is there has to be taken first. */
  add(dir: number, name: Buffer, path: Buffer): 'added' | 'full' | 'other' {
    const start = this.#filled + blockSize;
    if (start + blockSize > pieceBytes) return 'full';
    const size = readSmallFile(dir, name, this.#piece.subarray(start, pieceBytes - blockSize));
    if (typeof size !== 'number') return size === 'other' || this.#filled === 0 ? 'other' : 'full';
    const header = encodeTarHeader({type: 'file', path, size, ...lastFacts(), xattrs: noXattrs});
    const end = this.#filled + header.length + size + tarPadding(size).length;
    if (end > pieceBytes) return this.#filled === 0 ? 'other' : 'full';
    if (header.length > blockSize) this.#piece.copyWithin(this.#filled + header.length, start, start + size);
    header.copy(this.#piece, this.#filled);
    this.#piece.fill(0, this.#filled + header.length + size, end);
    this.#filled = end;
    return 'added';
  }

  /** What was added since the last time, in order. */
  *take(): Generator<Buffer> {
    if (this.#filled === 0) return;
    const taken = this.#piece.subarray(0, this.#filled);
    this.#filled = 0;
    yield this.#reuse ? taken : Buffer.from(taken);
  }
}
