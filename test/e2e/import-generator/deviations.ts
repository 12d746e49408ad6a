/**
 * Where our generator writes something else than systemd's, on purpose: the whole list. Each entry turns what systemd wrote into what
 * is right, and names the rule. `boots` that meet the last three are told apart by their input (see `differsByDesign`).
 */

import {splitCommandLine} from '../../../src/generator/command-line.ts';
import {hasControlCharacter} from '../../../src/generator/control-characters.ts';
import {credentialExpressions} from '../../../src/generator/credentials.ts';
import type {Boot} from './boot-lines.ts';

export interface Deviation {
  rule: string;
  /** Applied to each line of each unit that systemd's generator wrote. */
  correctLine(line: string): string;
}

export const deviations: Record<string, Deviation> = {
  'percent-in-description': {
    rule: 'systemd reads % in Description= as a specifier, so the one of a URL has to be doubled',
    correctLine: (line) => (line.startsWith('Description=') ? line.replaceAll('%', '%%') : line),
  },
  'backslash-at-line-end': {
    rule: 'systemd appends the next line to one that ends in a backslash, so a space stands behind such a backslash',
    correctLine: (line) => (/(^|[^\\])(\\\\)*\\$/.test(line) ? `${line} ` : line),
  },
  'backslash-in-json': {
    rule: 'systemd takes backslashes away from ExecStart= even in quotes, which breaks the JSON of the call; they are doubled',
    correctLine: (line) => correctJson(line, (json) => json.replaceAll('\\', '\\\\')),
  },
  'apostrophe-in-json': {
    rule: "an ' would end the argument of ExecStart=; written as \\u0027 it is the same JSON",
    correctLine: (line) => correctJson(line, (json) => json.replaceAll("'", '\\u0027')),
  },
};

function correctJson(line: string, correct: (json: string) => string): string {
  const match = /^(ExecStart=:varlinkctl .*?Pull ')(.*)(')$/.exec(line);
  return match ? `${match[1]}${correct(match[2] ?? '')}${match[3]}` : line;
}

/**
 * Boots for which systemd does something that we refuse to do, with the rule: the type `oci`, over which it aborts (the other
 * units are lost), is no type; control characters in a URL or an action, which would write lines of their own into a
 * unit, are refused; and the options that only we know are no unknown ones.
 */
export function differsByDesign(boot: Boot): boolean {
  const lines = credentialExpressions(boot.credential ?? '').map(String);
  const texts = [...splitCommandLine(boot.commandLine), ...lines];
  return texts.some(
    (text) => hasControlCharacter(text) || /\boci\b|skip-if-present|refresh|retry=|digest=/.test(text),
  );
}
