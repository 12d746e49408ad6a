/** Runs systemd's own generator, many boots in one start of its tree (test/oracle/generate-many.sh), and ours beside it. */

import {spawnSync} from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import {splitCommandLine} from '../../../src/generator/command-line.ts';
import {readCredential} from '../../../src/generator/credentials.ts';
import {generate} from '../../../src/generator/generate.ts';
import {type Log, logLines} from '../../../src/generator/journal.ts';
import type {GeneratorStyle} from '../../../src/generator/style.ts';
import type {Boot} from './boot-lines.ts';

export const oracle = path.join(import.meta.dirname, '../../oracle');
const trees = process.env.IMGCTL_ORACLE_DIR ?? '/var/cache/imgctl-oracle';

/** The trees of the oracle need root and are built once by test/oracle/setup.sh. */
export function hasTree(suite: string): boolean {
  return process.getuid?.() === 0 && existsSync(path.join(trees, `${suite}.version`));
}

export interface Outcome {
  status: number;
  messages: string[];
  /** Relative path → text of a file, or `-> TARGET` of a link. */
  units: Record<string, string>;
}

/** One folder per boot below `directory`, and what systemd's generator made of each. */
export function runReal(suite: string, directory: string, boots: readonly Boot[]): Outcome[] {
  const folders = boots.map((boot, index) => {
    const folder = path.join(directory, String(index).padStart(6, '0'));
    layOut(folder, boot);
    return folder;
  });
  const run = spawnSync(path.join(oracle, 'generate-many.sh'), [suite, directory], {encoding: 'latin1'});
  if (run.status !== 0) throw new Error(`generate-many.sh: ${run.stderr}`);
  return folders.map((folder) => ({
    status: Number(readFileSync(path.join(folder, 'exit'), 'latin1')),
    messages: lines(readFileSync(path.join(folder, 'stderr'), 'latin1'), folder),
    units: readUnits(path.join(folder, 'normal')),
  }));
}

function layOut(folder: string, boot: Boot): void {
  for (const name of ['creds', 'normal', 'early', 'late'])
    mkdirSync(path.join(folder, name), {recursive: true});
  writeFileSync(path.join(folder, 'cmdline'), boot.commandLine, 'latin1');
  writeFileSync(path.join(folder, 'initrd'), boot.inInitrd ? '1' : '0');
  if (boot.credential !== undefined)
    writeFileSync(path.join(folder, 'creds/import.pull'), boot.credential, 'latin1');
  if (boot.efiVariable !== undefined) writeFileSync(path.join(folder, 'efivar'), boot.efiVariable, 'latin1');
}

/** Ours, in this process. */
export function runOurs(directory: string, boot: Boot, style: GeneratorStyle): Outcome {
  layOut(directory, boot);
  const efivarsDirectory = path.join(directory, 'efivars');
  const normal = path.join(directory, 'normal');
  mkdirSync(efivarsDirectory);
  if (boot.efiVariable !== undefined) {
    const file = path.join(efivarsDirectory, 'StubDeviceURL-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f');
    writeFileSync(file, boot.efiVariable, 'latin1');
  }
  const said: string[] = [];
  const log: Log = (level, line) => {
    if (level !== 'debug') said.push(...logLines(line));
  };
  const places = {plainDirectory: path.join(directory, 'creds'), encryptedDirectory: undefined};
  const input = {
    commandLine: splitCommandLine(boot.commandLine),
    credential: readCredential(places, log),
    wanted: [],
    inInitrd: boot.inInitrd,
    efivarsDirectory,
  };
  const status = generate(input, {directory: normal, style, launcher: '/usr/bin/imgctl', log});
  const messages = lines(said.map((line) => `${line}\n`).join(''), directory);
  return {status, messages, units: readUnits(normal)};
}

function lines(text: string, folder: string): string[] {
  return text.replaceAll(folder, '<DIR>').split('\n').slice(0, -1);
}

function readUnits(directory: string): Record<string, string> {
  const units: Record<string, string> = {};
  for (const name of readdirSync(directory, {recursive: true, encoding: 'latin1'}).sort()) {
    const file = path.join(directory, name);
    const linkTarget = readLink(file);
    if (linkTarget !== undefined) units[name] = `-> ${linkTarget}`;
    else if (statSync(file).isFile()) units[name] = readFileSync(file, 'latin1');
  }
  return units;
}

function readLink(file: string): string | undefined {
  try {
    return readlinkSync(file);
  } catch {
    return undefined;
  }
}
