/**
 * The import generator: units that pull images at boot, from the kernel command line, a credential and the files of
 * wanted.d. It delays every boot, so it reads a few small files, writes below its output directory, and does nothing
 * else: no network, no catalog. What somebody mistyped is warned about and left out; only a unit that cannot be
 * written makes the exit status 1.
 */

import {readBootOrigin} from './boot-origin.ts';
import {isKey, itemsFor} from './command-line.ts';
import {hasControlCharacter} from './control-characters.ts';
import {credentialExpressions, lineTooLong} from './credentials.ts';
import {errnoText, type Log} from './journal.ts';
import {type ExpressionRules, type ParsedExpression, parsePullExpression} from './pull-expression.ts';
import type {GeneratorStyle} from './style.ts';
import {type WantedUnit, writeUnits} from './write-units.ts';

/** What a machine says about the images it is to have; texts are bytes (latin1). */
export interface BootInput {
  /** Words of the kernel command line. */
  commandLine: readonly string[];
  /** The credential `import.pull`. */
  credential: string | undefined;
  /** From files; see `wanted-files.ts`. */
  wanted: readonly WantedUnit[];
  inInitrd: boolean;
  efivarsDirectory: string;
}

export interface BootWishes {
  wanted: WantedUnit[];
  successAction: string | undefined;
  failureAction: string | undefined;
}

const commandLineSource = '/proc/cmdline';

/** Everything that is asked for, in order: command line, credential, files. */
export function readBootWishes(input: BootInput, is257: boolean, log: Log): BootWishes {
  const rules: ExpressionRules = {
    inInitrd: input.inInitrd,
    is257,
    bootOrigin: () => readBootOrigin(input.efivarsDirectory),
    log,
  };
  const wishes: BootWishes = {wanted: [], successAction: undefined, failureAction: undefined};
  const add = (parsed: ParsedExpression, complaint: string): void => {
    if (parsed === 'refused') log('warning', complaint);
    else if (parsed !== 'dropped') wishes.wanted.push({wish: parsed.wish, sourcePath: commandLineSource});
  };
  for (const item of itemsFor(input.commandLine, input.inInitrd)) {
    const isPull = isKey(item, 'systemd.pull');
    const action = isPull ? undefined : actionOf(item);
    if (!isPull && !action) continue;
    if (item.value === undefined)
      log('warning', `Missing argument for ${item.key}= kernel command line switch, ignoring.`);
    else if (action) setAction(wishes, action, item.value, log);
    else
      add(
        parsePullExpression(item.value, rules),
        `Failed to parse systemd.pull expression, ignoring: ${item.value}`,
      );
  }
  for (const line of credentialExpressions(input.credential ?? '')) {
    if (line === lineTooLong) logTooLong(is257, log);
    else add(parsePullExpression(line, rules), `Failed to parse expression, ignoring: ${line}`);
  }
  wishes.wanted.push(...input.wanted);
  return wishes;
}

type Action = 'successAction' | 'failureAction';

function actionOf(item: {key: string; value: string | undefined}): Action | undefined {
  if (isKey({key: item.key, value: undefined}, 'systemd.pull.success_action')) return 'successAction';
  return isKey({key: item.key, value: undefined}, 'systemd.pull.failure_action')
    ? 'failureAction'
    : undefined;
}

/** The last one counts. A control character could end the line in the unit, and begin another. */
function setAction(wishes: BootWishes, action: Action, value: string, log: Log): void {
  if (hasControlCharacter(value)) {
    log('warning', `Control character in unit action, ignoring: ${JSON.stringify(value)}`);
    return;
  }
  wishes[action] = value;
}

/** 257 names another credential here; its users' log filters may know the line. */
function logTooLong(is257: boolean, log: Log): void {
  const name = is257 ? 'ssh.listen' : 'import.pull';
  log('error', `Failed to parse credential '${name}': ${errnoText('ENOBUFS')}`);
}

export interface GeneratorOutput {
  /** The directory for units of normal priority. */
  directory: string;
  style: GeneratorStyle;
  launcher: string;
  log: Log;
}

/** Returns the exit status. */
export function generate(input: BootInput, output: GeneratorOutput): number {
  const {directory, style, launcher, log} = output;
  const {wanted, successAction, failureAction} = readBootWishes(input, style.is257, log);
  const settings = {style, inInitrd: input.inInitrd, successAction, failureAction, launcher};
  return writeUnits(directory, wanted, settings, log) ? 0 : 1;
}
