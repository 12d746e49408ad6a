/** One reader of foreign bytes. */
import {existsSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import type {Random} from './random.ts';

export interface FuzzTarget {
  samples: readonly Buffer[];
  /** By default `mutateBytes`. */
  mutate?(samples: readonly Buffer[], random: Random): Buffer;
  /** Reads it all; an ImgctlError is an answer, any other failure a finding. */
  read(bytes: Buffer): unknown;
  close?(): unknown;
}

/** In memory where there is such a place: some readers read files. */
export function temporaryDirectory(): string {
  return mkdtempSync(path.join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'imgctl-fuzz-'));
}

/** A file for readers that want one. */
export function inFile(name: string): {directory: string; file: string; close: () => void} {
  const directory = temporaryDirectory();
  return {directory, file: path.join(directory, name), close: () => rmSync(directory, {recursive: true})};
}
