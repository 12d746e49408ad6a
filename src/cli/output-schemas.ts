/** The published schemas of what commands print as JSON (schemas/output). */

import {readdirSync, readFileSync} from 'node:fs';
import path from 'node:path';
import {ImgctlError} from '../errors.ts';
import {nearNames} from '../manifest/near-names.ts';
import {packageRoot} from './package-root.ts';

export interface SchemaEntry {
  /** Words of the command; `error` is the object of -E and -j. */
  command: string;
  title: string;
}

export function listSchemas(): SchemaEntry[] {
  return schemaNames().map((name) => ({
    command: name === 'error' ? name : commandOf(name),
    title: String(readSchema(name).title),
  }));
}

/** `Usage` when no command of these words prints JSON. */
export function findSchema(words: readonly string[]): Record<string, unknown> {
  const name = words.join('-');
  const names = schemaNames();
  if (names.includes(name)) return readSchema(name);
  const [near] = nearNames(name, names);
  throw new ImgctlError('Usage', `there is no schema of "${words.join(' ')}"`, {
    hint: near ? `did you mean: imgctl schema ${commandOf(near)}` : 'all there are: imgctl schema',
  });
}

function schemaNames(): string[] {
  const suffix = '.schema.json';
  return readdirSync(directory())
    .filter((file) => file.endsWith(suffix))
    .map((file) => file.slice(0, -suffix.length))
    .sort();
}

function readSchema(name: string): Record<string, unknown> {
  return JSON.parse(readFileSync(path.join(directory(), `${name}.schema.json`), 'utf8'));
}

function directory(): string {
  return path.join(packageRoot(), 'schemas/output');
}

/** Groups of commands are two words. */
function commandOf(name: string): string {
  return name.replace(/^(cache|manifest|server)-/, '$1 ');
}
