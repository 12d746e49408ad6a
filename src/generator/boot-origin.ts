/** The URL that the firmware booted from, which the boot stub leaves in an EFI variable. */

import {readFileSync} from 'node:fs';
import path from 'node:path';
import {errnoOf} from '../errors.ts';
import {errnoText} from './journal.ts';
import {Refusal} from './pull-expression.ts';

const variable = 'StubDeviceURL-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f';
const attributeBytes = 4;

/** Undefined when the variable is not set; a `Refusal` when it cannot be read. */
export function readBootOrigin(efivarsDirectory: string): string | undefined {
  const bytes = readVariable(path.join(efivarsDirectory, variable));
  if (bytes === undefined || bytes.length === 0) return undefined;
  if (bytes.length < attributeBytes) throw unreadable(errnoText('ENODATA'));
  // UTF-16, up to the first NUL; half a pair of surrogates is left out.
  const text = new TextDecoder('utf-16le').decode(
    bytes.subarray(attributeBytes, attributeBytes + ((bytes.length - attributeBytes) & ~1)),
  );
  const [value = ''] = text.replaceAll('\ufffd', '').split('\0');
  return Buffer.from(value, 'utf8').toString('latin1');
}

function readVariable(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw unreadable(errnoText(code));
  }
}

function unreadable(reason: string): Refusal {
  return new Refusal(`Failed to read 'StubDeviceURL' EFI variable: ${reason}`);
}
