/** Keyrings: files with the OpenPGP keys whose signatures count. They are the operator's; nothing here is from outside. */
import {readFile, stat} from 'node:fs/promises';
import type {Key} from 'openpgp';
import {errnoOf, ImgctlError} from '../errors.ts';
import {isArmored, splitArmor} from './armor.ts';

const maxKeyringBytes = 16 * 1024 * 1024;

/**
 * All keys of those files that are there, binary or armored; a missing file is none. Fails with `ConfigError`,
 * naming the file, when one cannot be read.
 */
export async function readKeyrings(files: readonly string[]): Promise<Key[]> {
  const keys: Key[] = [];
  for (const file of files) {
    const bytes = await readIfThere(file);
    if (bytes === undefined) continue;
    try {
      keys.push(...(await parseKeys(bytes)));
    } catch (error) {
      throw new ImgctlError('ConfigError', `Keyring "${file}" cannot be read as OpenPGP keys`, {
        cause: error,
      });
    }
  }
  return keys;
}

async function readIfThere(file: string): Promise<Buffer | undefined> {
  try {
    if ((await stat(file)).size > maxKeyringBytes) {
      throw new ImgctlError('LimitExceeded', `Keyring "${file}" has more than ${maxKeyringBytes} bytes`);
    }
    return await readFile(file);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    if (error instanceof ImgctlError) throw error;
    throw new ImgctlError('ConfigError', `Keyring "${file}" cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

async function parseKeys(bytes: Buffer): Promise<Key[]> {
  const {readKeys} = await import('openpgp');
  if (!isArmored(bytes)) return bytes.length === 0 ? [] : await readKeys({binaryKeys: bytes});
  const parsed = await Promise.all(
    splitArmor(bytes, 'PUBLIC KEY BLOCK').map((armoredKeys) => readKeys({armoredKeys})),
  );
  return parsed.flat();
}
