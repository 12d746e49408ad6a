/**
 * What a quick command says, held back until it is known to be the answer. Written with plain calls: the streams of Node
 * take a tenth of its start to set up, and a terminal is the only place where they are needed.
 */

import {fstatSync, writeSync} from 'node:fs';
import type {Environment} from './environment.ts';

type Descriptor = 1 | 2;

/** Devices of the memory driver, `/dev/null` among them. */
const memoryDevices = 1;

export class HeldOutput {
  readonly #parts: {descriptor: Descriptor; text: string}[] = [];

  /** As much of the process's streams as the quick commands ask of them. */
  streams(): Pick<Environment, 'stdout' | 'stderr'> {
    const stream = (descriptor: Descriptor, real: () => NodeJS.WriteStream): unknown => ({
      write: (text: string) => this.#parts.push({descriptor, text}) > 0,
      get isTTY() {
        return isPerhapsTerminal(descriptor) && real().isTTY;
      },
      get columns() {
        return isPerhapsTerminal(descriptor) ? real().columns : undefined;
      },
    });
    return {
      stdout: stream(1, () => process.stdout) as NodeJS.WriteStream,
      stderr: stream(2, () => process.stderr) as NodeJS.WriteStream,
    };
  }

  /** Returns what could not be written at once; the caller has the process's own streams write that. */
  release(): {descriptor: Descriptor; bytes: Buffer}[] {
    const parts = this.#parts.map(({descriptor, text}) => ({descriptor, bytes: Buffer.from(text)}));
    for (const [index, part] of parts.entries()) {
      part.bytes = part.bytes.subarray(writtenBytes(part.descriptor, part.bytes));
      if (part.bytes.length > 0) return parts.slice(index);
    }
    return [];
  }
}

function isPerhapsTerminal(descriptor: Descriptor): boolean {
  try {
    const stats = fstatSync(descriptor);
    return stats.isCharacterDevice() && stats.rdev >> 8 !== memoryDevices;
  } catch {
    return true;
  }
}

/** Short of a pipe that is full, of a reader who went away, and of whatever else the streams know how to tell of. */
function writtenBytes(descriptor: Descriptor, bytes: Buffer): number {
  let written = 0;
  try {
    while (written < bytes.length) written += writeSync(descriptor, bytes, written);
  } catch {
    // The next writing meets it again.
  }
  return written;
}
