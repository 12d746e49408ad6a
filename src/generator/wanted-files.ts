/**
 * The files of wanted.d: images that a machine is to have, as JSON. A file holds one object or a list of them. What cannot be
 * understood is refused by name and left out; the rest of the file counts.
 */

import {readdirSync, readFileSync, statSync} from 'node:fs';
import path from 'node:path';
import {errnoOf} from '../errors.ts';
import {hasControlCharacter} from './control-characters.ts';
import {errnoText, type Log} from './journal.ts';
import {parseWantedEntry} from './wanted-entry.ts';
import type {WantedUnit} from './write-units.ts';

const maxFileBytes = 1024 * 1024;

/** The wishes of every `*.json`, by name of the file; a directory that is not there holds none. */
export function readWantedFiles(directory: string, log: Log): WantedUnit[] {
  const wanted: WantedUnit[] = [];
  for (const name of listFiles(directory, log)) {
    const file = path.join(directory, name);
    // It is written into the unit, as the place where the wish stands.
    if (hasControlCharacter(file)) {
      log('error', `Control character in the name of a file, ignoring: ${JSON.stringify(file)}`);
      continue;
    }
    for (const entry of readEntries(file, log)) {
      const parsed = parseWantedEntry(entry);
      if ('problem' in parsed)
        log('error', `Failed to parse "${file}", ignoring an entry: ${parsed.problem}`);
      else wanted.push({wish: parsed.wish, sourcePath: Buffer.from(file).toString('latin1')});
    }
  }
  return wanted;
}

function listFiles(directory: string, log: Log): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => name.endsWith('.json') && !name.startsWith('.'))
      .sort();
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT')
      log('error', `Failed to read "${directory}", ignoring: ${errnoText(errnoOf(error))}`);
    return [];
  }
}

function readEntries(file: string, log: Log): unknown[] {
  try {
    const facts = statSync(file);
    // Reading a pipe would keep the machine from booting.
    if (!facts.isFile()) throw new Error('not a regular file');
    if (facts.size > maxFileBytes) throw new Error(`more than ${maxFileBytes} bytes`);
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return Array.isArray(value) ? value : [value];
  } catch (error) {
    log('error', `Failed to read "${file}", ignoring: ${error instanceof Error ? error.message : error}`);
    return [];
  }
}
