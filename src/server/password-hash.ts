/** Passwords as scrypt hashes (RFC 7914), `scrypt:N:r:p:SALT:HASH` with salt and hash in Base64. */
import {createHash, createHmac, randomBytes, scrypt, timingSafeEqual} from 'node:crypto';

export interface PasswordHash {
  cost: number;
  blockSize: number;
  parallelization: number;
  salt: Buffer;
  hash: Buffer;
}

/** What one check may use. */
const maxMemoryBytes = 64 * 1024 * 1024;

/** Undefined for anything else, and for parameters that cost too much. */
export function parsePasswordHash(value: unknown): PasswordHash | undefined {
  const match = /^scrypt:(\d{1,8}):(\d{1,3}):(\d{1,2}):([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$/.exec(
    String(value),
  );
  if (!match) return undefined;
  const [cost, blockSize, parallelization] = match.slice(1, 4).map(Number) as [number, number, number];
  const [salt, hash] = match.slice(4).map((text) => Buffer.from(text, 'base64')) as [Buffer, Buffer];
  const isPower = cost > 1 && (cost & (cost - 1)) === 0;
  const isAffordable = 128 * cost * blockSize <= maxMemoryBytes && parallelization >= 1 && blockSize >= 1;
  if (!isPower || !isAffordable || salt.length < 8 || hash.length < 16) return undefined;
  return {cost, blockSize, parallelization, salt, hash};
}

/** Answers of this process are remembered by a keyed digest, since each check is meant to be slow. */
const memoryKey = randomBytes(32);
const remembered = new Set<string>();
const maxRemembered = 1000;

export async function isPassword(text: string, kept: PasswordHash): Promise<boolean> {
  const mark = createHmac('sha256', memoryKey)
    .update(kept.salt)
    .update(kept.hash)
    .update(createHash('sha256').update(text).digest())
    .digest('base64');
  if (remembered.has(mark)) return true;
  const isRight = timingSafeEqual(await derive(text, kept), kept.hash);
  if (isRight) {
    if (remembered.size >= maxRemembered) remembered.clear();
    remembered.add(mark);
  }
  return isRight;
}

function derive(text: string, {cost, blockSize, parallelization, salt, hash}: PasswordHash): Promise<Buffer> {
  const options = {N: cost, r: blockSize, p: parallelization, maxmem: 2 * maxMemoryBytes};
  return new Promise((resolve, reject) => {
    scrypt(text, salt, hash.length, options, (error, key) => (error ? reject(error) : resolve(key)));
  });
}
