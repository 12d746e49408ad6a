/**
 * The import generator as a program: what the process and the file system say, and where its lines go. Everything it
 * needs is in one small bundle of its own (dist/import-generator.js), since it delays every boot.
 */

import {existsSync, openSync, readFileSync, writeSync} from 'node:fs';
import path from 'node:path';
import {splitCommandLine} from '../generator/command-line.ts';
import {readCredential} from '../generator/credentials.ts';
import {type BootInput, generate} from '../generator/generate.ts';
import {type Log, type LogLevel, logLines} from '../generator/journal.ts';
import {parseBoolean} from '../generator/pull-options.ts';
import type {GeneratorStyle} from '../generator/style.ts';
import {readWantedFiles} from '../generator/wanted-files.ts';

type Variables = Readonly<Record<string, string | undefined>>;

export interface GeneratorCall {
  /** Output directories: one, or normal, early and late. */
  directories: readonly string[];
  compat: string | undefined;
  env: Variables;
  /** Where config.json and wanted.d are. */
  configDirectory: string;
  /** Path of the `imgctl` that units run. */
  launcher: string;
}

/** Exit status of systemd's generators for a wrong number of arguments. */
const wrongArguments = 234;

/** Returns the exit status. */
export function runImportGenerator(call: GeneratorCall): number {
  const {directories, env, configDirectory} = call;
  const log = openLog(env);
  if (directories.length !== 1 && directories.length !== 3) {
    log('error', 'This program takes one or three arguments.');
    return wrongArguments;
  }
  return generate(readBootInput(env, configDirectory, log), {
    directory: bytesOf(directories[0] ?? ''),
    style: styleFor(call),
    launcher: bytesOf(call.launcher),
    log,
  });
}

/** What this machine asks for; also what `boot-report` compares with. */
export function readBootInput(env: Variables, configDirectory: string, log: Log): BootInput {
  return {
    commandLine: readCommandLine(env),
    credential: readCredential(
      {
        plainDirectory: env.CREDENTIALS_DIRECTORY,
        encryptedDirectory: env.ENCRYPTED_CREDENTIALS_DIRECTORY,
      },
      log,
    ),
    wanted: readWantedFiles(path.join(configDirectory, 'wanted.d'), log),
    inInitrd: parseBoolean(env.SYSTEMD_IN_INITRD ?? '') ?? existsSync('/etc/initrd-release'),
    efivarsDirectory: efivarsDirectory(env),
  };
}

export function efivarsDirectory(env: Variables): string {
  return env.IMGCTL_EFIVARS ?? '/sys/firmware/efi/efivars';
}

/** In a container the words that its init got stand for the kernel's. */
function readCommandLine(env: Variables): string[] {
  if (env.SYSTEMD_PROC_CMDLINE !== undefined) return splitCommandLine(bytesOf(env.SYSTEMD_PROC_CMDLINE));
  try {
    if (existsSync('/run/systemd/container'))
      return readFileSync('/proc/1/cmdline', 'latin1').split('\0').slice(0, -1);
    return splitCommandLine(readFileSync('/proc/cmdline', 'latin1'));
  } catch {
    // Without /proc there is no command line.
    return [];
  }
}

/** The form: by environment, else by configuration, else our own (spec/import-generator.md §6). */
function styleFor(call: GeneratorCall): GeneratorStyle {
  const {env} = call;
  const form = env.IMGCTL_GENERATOR_FORM ?? configuredForm(call);
  const compat = call.compat ?? env.IMGCTL_GENERATOR_COMPAT;
  return {form: form === 'varlink' ? 'varlink' : 'imgctl', is257: compat === '257'};
}

/** A configuration that cannot be read must not keep a machine from booting. */
function configuredForm({env, configDirectory}: GeneratorCall): unknown {
  const file = env.IMGCTL_CONFIG ?? path.join(configDirectory, 'config.json');
  try {
    return JSON.parse(readFileSync(file, 'utf8'))?.generator?.form;
  } catch {
    return undefined;
  }
}

const levels: Readonly<Record<LogLevel, number>> = {error: 3, warning: 4, info: 6, debug: 7};
const levelNames = ['emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug'];

/** To the kernel log when the service manager started us, as systemd's generators do, else to stderr. */
function openLog(env: Variables): Log {
  const wanted = env.SYSTEMD_LOG_LEVEL ?? 'info';
  const named = levelNames.indexOf(wanted);
  const highest = named >= 0 ? named : /^[0-7]$/.test(wanted) ? Number(wanted) : levels.info;
  const kernelLog = isStartedByManager(env) ? openKernelLog() : undefined;
  return (level, line) => {
    if (levels[level] > highest) return;
    for (const each of logLines(line)) {
      if (kernelLog === undefined) writeLine(2, each);
      else writeLine(kernelLog, kernelLogLine(levels[level], each));
    }
  };
}

/** The kernel refuses a longer record. */
const maxKernelLogBytes = 1024;

function kernelLogLine(level: number, line: string): string {
  return `<${level}>systemd-import-generator[${process.pid}]: ${line}`.slice(0, maxKernelLogBytes - 1);
}

/** A log that takes no more lines must not cost the machine its units. */
function writeLine(fd: number, line: string): void {
  try {
    writeSync(fd, Buffer.from(`${line}\n`, 'latin1'));
  } catch {
    // There is nobody left to tell.
  }
}

function isStartedByManager(env: Variables): boolean {
  const target = env.SYSTEMD_LOG_TARGET ?? 'auto';
  if (target === 'kmsg') return true;
  return target === 'auto' && env.SYSTEMD_EXEC_PID === String(process.pid);
}

function openKernelLog(): number | undefined {
  try {
    return openSync('/dev/kmsg', 'w');
  } catch {
    return undefined;
  }
}

/** Text from Node as the bytes that the room works on. */
function bytesOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
