/**
 * What goes to stderr when that is a stream to the journal (ux.md §6, §7.4): lines with their level in front, and those of
 * progress as entries with fields of their own, so that one can ask the journal for an image.
 */

import {journalSocket, sendToJournal} from '../sys/journal.ts';
import type {Environment} from './environment.ts';
import {type LineLevel, levels} from './line-levels.ts';
import {isJournal} from './progress/mode.ts';
import type {LineFacts} from './progress/plain-lines.ts';

/** Of entries that tell of progress, to be asked for with journalctl(1). */
const progressMessageId = 'cb5bf9d30dc44520bc74ec72a0ae91ad';

export class JournalLines {
  readonly #identifier: string;
  readonly #socket: string;

  constructor(identifier: string, socket = journalSocket) {
    this.#identifier = identifier;
    this.#socket = socket;
  }

  /** The lines as the journal reads them from a stream: each with its level. */
  withLevel(text: string, level: LineLevel): string {
    return text.replace(/^/gm, `<${levels[level]}>`);
  }

  /** Whether an entry was made; where not, the line has to go to the stream. */
  sendProgress(line: string, facts: LineFacts | undefined): boolean {
    try {
      sendToJournal(this.#socket, {
        MESSAGE: line,
        MESSAGE_ID: progressMessageId,
        PRIORITY: levels.info,
        SYSLOG_IDENTIFIER: this.#identifier,
        ...(facts && fieldsOf(facts)),
      });
      return true;
    } catch {
      // No journal listens: the stream is what is left.
      return false;
    }
  }
}

/** The journal behind stderr, if that is where it leads. */
export function openJournal({env}: Pick<Environment, 'env'>, identifier: string): JournalLines | undefined {
  return isJournal(env, 2) ? new JournalLines(identifier) : undefined;
}

function fieldsOf({uuid, id, phase, doneBytes, totalBytes}: LineFacts): Record<string, string | number> {
  return {
    IMGCTL_IMAGE_UUID: uuid,
    ...(id !== undefined && {IMGCTL_TRANSFER_ID: id}),
    IMGCTL_PHASE: phase,
    IMGCTL_BYTES_DONE: doneBytes,
    ...(totalBytes !== undefined && {IMGCTL_BYTES_TOTAL: totalBytes}),
  };
}
