/** Digits for names that nobody can guess. For a transfer there is no other use of node:crypto, which takes 6 ms to load. */
import {checked, native} from './native.ts';

/** Of so many bytes, 256 at most; two digits each. */
export function randomHex(byteCount: number): string {
  const bytes = Buffer.alloc(byteCount);
  checked(native().random(bytes), 'getrandom');
  return bytes.toString('hex');
}
