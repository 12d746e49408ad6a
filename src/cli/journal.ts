/**
 * Standard error of a service, where that is a stream of the journal: what is written becomes entries with fields of their
 * own (ux.md §7.4; https://systemd.io/JOURNAL_NATIVE_PROTOCOL). What the journal does not take goes the plain way.
 */

import {type JournalFields, journalSocket, sendToJournal} from '../sys/journal.ts';
import type {Environment} from './environment.ts';
import {levels} from './line-levels.ts';
import {logLevels} from './log.ts';
import {isJournal} from './progress/mode.ts';

const stderrDescriptor = 2;

/** Of failures and of warnings; documented in imgctl(1), and as stable as error codes. */
const failureId = '0b283b343908bfe7f78116b304458a9e';
const warningId = '1253640ee7457f08a12275d38096134f';

const uuidPattern = /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/;

/** The environment, with such a stream in place of standard error where it is one; else as it is. */
export function withJournal(environment: Environment, identifier: string): Environment {
  if (!isJournal(environment.env, stderrDescriptor)) return environment;
  const plain = environment.stderr;
  let transferId: string | undefined;
  const write = (text: string): boolean => {
    transferId = /\btransfer job (\d+)/.exec(text)?.[1] ?? transferId;
    const fields = {...fieldsOf(text.replace(/\n$/, '')), IMGCTL_TRANSFER_ID: transferId};
    try {
      sendToJournal(journalSocket, {SYSLOG_IDENTIFIER: identifier, ...withoutUndefined(fields)});
      return true;
    } catch {
      return plain.write(text);
    }
  };
  // Not a copy: the current directory is found out when it is asked for.
  return Object.create(environment, {stderr: {value: {write, isTTY: false}}}) as Environment;
}

type Fields = Record<string, string | undefined>;

function withoutUndefined(fields: Fields): JournalFields {
  return Object.fromEntries(
    Object.entries(fields).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/** What a line of ours says of itself, its level in front (sd-daemon(3)); a record of the log says it as JSON. */
function fieldsOf(written: string): Fields {
  const level = /^<([0-7])>/.exec(written)?.[1];
  const text = level === undefined ? written : written.replace(/^<[0-7]>/gm, '');
  const record = text.startsWith('{') ? recordOf(text) : undefined;
  const message = record?.msg ?? text;
  const code = record?.code ?? /^[^\n]*?: error \((\w+)\): /.exec(text)?.[1];
  const isWarning = /^imgctl[^:\n]*: warning: /.test(text);
  return {
    MESSAGE: message,
    PRIORITY: record?.priority ?? level ?? String(levels.info),
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
