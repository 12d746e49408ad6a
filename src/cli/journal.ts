/**
 * Standard error of a service, where that is a stream of the journal: what is written becomes entries with fields of their
 * own (ux.md §7.4; https://systemd.io/JOURNAL_NATIVE_PROTOCOL). What the journal does not take goes the plain way.
 */

import {fstatSync} from 'node:fs';
import {notifySupervisor} from '../sys/notify.ts';
import type {Environment} from './environment.ts';
import {logLevels} from './log.ts';

const socketPath = '/run/systemd/journal/socket';
const stderrDescriptor = 2;

/** Of failures and of warnings; documented in imgctl(1), and as stable as error codes. */
const failureId = '0b283b343908bfe7f78116b304458a9e';
const warningId = '1253640ee7457f08a12275d38096134f';

const uuidPattern = /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/;

/** The environment, with such a stream in place of standard error where it is one; else as it is. */
export function withJournal(environment: Environment, identifier: string): Environment {
  if (!isJournalStream(environment.env.JOURNAL_STREAM)) return environment;
  const plain = environment.stderr;
  let transferId: string | undefined;
  const write = (text: string): boolean => {
    transferId = /\btransfer job (\d+)/.exec(text)?.[1] ?? transferId;
    const fields = {...fieldsOf(text.replace(/\n$/, '')), IMGCTL_TRANSFER_ID: transferId};
    try {
      notifySupervisor(socketPath, encode({SYSLOG_IDENTIFIER: identifier, ...fields}));
      return true;
    } catch {
      return plain.write(text);
    }
  };
  // Not a copy: the current directory is found out when it is asked for.
  return Object.create(environment, {stderr: {value: {write, isTTY: false}}}) as Environment;
}

/** `DEVICE:INODE` of the stream that the service manager made (systemd.exec(5)); a redirected one is another. */
function isJournalStream(text: string | undefined): boolean {
  if (text === undefined) return false;
  const {dev, ino} = fstatSync(stderrDescriptor);
  return text === `${dev}:${ino}`;
}

type Fields = Record<string, string | undefined>;

/** What a line of ours says of itself; a record of the log says it as JSON. */
function fieldsOf(text: string): Fields {
  const record = text.startsWith('{') ? recordOf(text) : undefined;
  const message = record?.msg ?? text;
  const code = record?.code ?? /^[^\n]*?: error \((\w+)\): /.exec(text)?.[1];
  const isWarning = /^imgctl[^:\n]*: warning: /.test(text);
  return {
    MESSAGE: message,
    PRIORITY: record?.priority ?? (code !== undefined ? '3' : isWarning ? '4' : '6'),
    MESSAGE_ID: code !== undefined ? failureId : isWarning ? warningId : undefined,
    IMGCTL_ERROR_CODE: code,
    IMGCTL_IMAGE_UUID: uuidPattern.exec(message)?.[0],
  };
}

/** Of a line in bunyan's format; undefined for other JSON, such as progress. */
function recordOf(text: string): {msg: string; code: string | undefined; priority: string} | undefined {
  try {
    const {msg, level, err} = JSON.parse(text);
    if (typeof msg !== 'string' || typeof level !== 'number') return undefined;
    const code = typeof err?.code === 'string' ? err.code : undefined;
    return {msg, code, priority: priorityOf(level)};
  } catch {
    return undefined;
  }
}

function priorityOf(level: number): string {
  if (level >= logLevels.error) return '3';
  if (level >= logLevels.warn) return '4';
  return level >= logLevels.info ? '6' : '7';
}

/** A value of several lines is preceded by its length. */
function encode(fields: Fields): Buffer {
  const parts = Object.entries(fields).flatMap(([name, value]) => {
    if (value === undefined) return [];
    if (!value.includes('\n')) return [Buffer.from(`${name}=${value}\n`)];
    const bytes = Buffer.from(value);
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(bytes.length));
    return [Buffer.from(`${name}\n`), length, bytes, Buffer.from('\n')];
  });
  return Buffer.concat(parts);
}
