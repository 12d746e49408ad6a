/** The checksum of ZFS, at the speed of memory: in JavaScript it would be slower than everything around it. */
import {checked, native} from './native.ts';

/**
 * Adds `bytes`, read as 32-bit words of this machine, to a state of 32 bytes, which begins as zeros. A last part of
 * a word is not counted.
 */
export function fletcher4(state: Buffer, bytes: Buffer): void {
  checked(native().fletcher4(state, bytes), 'fletcher4');
}
