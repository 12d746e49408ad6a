/** Bytes that can be read in any order. */
export interface RandomAccess {
  /** Does not change while somebody reads. */
  readonly size: number;
  /** The bytes from `position`; fewer than `length` only at the end. The caller may keep the buffer. */
  read(position: number, length: number): Buffer;
}
