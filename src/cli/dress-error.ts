/** The text of an error as the terminal or the journal wants it. */

import {openJournal} from './journal-lines.ts';
import {hasColor, type Look} from './presentation.ts';
import {escapeRest} from './table.ts';
import {paintMessage} from './terminal-style.ts';

export function dressError(text: string, look: Look): string {
  const safe = escapeRest(text);
  const painted = hasColor(look) ? paintMessage(safe) : safe;
  return openJournal(look.environment, look.program)?.withLevel(safe, 'error') ?? painted;
}
