/**
 * One pull expression, `OPTIONS:LOCAL:REMOTE`: its grammar, and the checks in the order and words of systemd
 * (spec/import-generator.md §2, §3). Whatever is refused is told to the log and gives undefined.
 */

import {isUtf8} from 'node:buffer';
import {isImageName} from '../import1/image-name.ts';
import {stripSuffixes} from '../import1/local-name.ts';
import {isPullUrl} from '../import1/pull-url.ts';
import type {PullWish} from '../import1/pull-wish.ts';
import {hasControlCharacter} from './control-characters.ts';
import {DanglingBackslash, takeField} from './escaped-fields.ts';
import {errnoText, type Log} from './journal.ts';
import {applyPullOption, defaultPullOptions, type PullOptions} from './pull-options.ts';
import {lastUrlComponent, replaceLastUrlComponent} from './url-name.ts';

export interface ExpressionRules {
  inInitrd: boolean;
  is257: boolean;
  /** The URL that the firmware booted from; undefined if it did not. Throws what `readBootOrigin` throws. */
  bootOrigin(): string | undefined;
  log: Log;
}

/** What ends an expression: an error to log, or nothing to say. */
export class Refusal extends Error {}

/** `dropped`: nothing is wrong and nothing is wanted. */
export type ParsedExpression = {wish: PullWish} | 'dropped' | 'refused';

export function parsePullExpression(text: string, rules: ExpressionRules): ParsedExpression {
  try {
    return (rules.is257 ? parse257 : parseNew)(text, rules);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    rules.log('error', error.message);
    return 'refused';
  }
}

function parseNew(text: string, rules: ExpressionRules): ParsedExpression {
  const {optionText, local, remote} = splitExpression(text, false);
  if (!remote) throw new Refusal(`No remote string in pull expression '${text}'.`);
  checkLocalName(local);
  const options = readOptions(optionText, rules);
  const url = options.bootorigin ? urlFromBootOrigin(remote, rules) : remote;
  if (url === undefined) return 'dropped';
  if (!isSafeUrl(url)) throw new Refusal(`Not a valid URL, refusing: ${url}`);
  const wish = wishOf(options, url, text);
  wish.localName = local === '' ? deriveName(url, wish.type, rules.log) : local;
  if (options.blockdev && wish.type !== 'raw')
    throw new Refusal(`Option 'blockdev' only available for raw images, refusing: ${text}`);
  return {wish};
}

/** 257 looks at the URL before the options, and leaves the derivation of a name to importd. */
function parse257(text: string, rules: ExpressionRules): ParsedExpression {
  const {optionText, local, remote} = splitExpression(text, true);
  if (remote === undefined || !isSafeUrl(remote))
    throw new Refusal(`Not a valid URL, refusing: ${remote ?? '(null)'}`);
  checkLocalName(local);
  const wish = wishOf(readOptions(optionText, rules), remote, text);
  wish.localName = local === '' ? undefined : local;
  wish.runtime = false;
  return {wish};
}

/** A control character could end the line in the unit, and begin another. */
function isSafeUrl(url: string): boolean {
  return isPullUrl(url) && !hasControlCharacter(url);
}

function splitExpression(
  text: string,
  is257: boolean,
): {optionText: string; local: string; remote: string | undefined} {
  const extract = (from: string, what: string): ReturnType<typeof takeField> =>
    refuseDangling(() => takeField(from, ':'), `Failed to extract ${what} from pull expression '${text}'`);
  const {field: optionText, rest} = extract(text, 'option string');
  if (rest === undefined)
    throw new Refusal(`No local string in pull expression '${text}'${is257 ? ': Invalid argument' : '.'}`);
  const {field: local, rest: remote} = extract(rest, 'local name');
  return {optionText, local, remote};
}

function refuseDangling<T>(take: () => T, message: string): T {
  try {
    return take();
  } catch (error) {
    if (error instanceof DanglingBackslash) throw new Refusal(`${message}: ${errnoText('EINVAL')}`);
    throw error;
  }
}

function checkLocalName(local: string): void {
  if (local === '') return;
  const bytes = Buffer.from(local, 'latin1');
  if (!isUtf8(bytes) || !isImageName(bytes.toString('utf8')))
    throw new Refusal(`Not a valid image name, refusing: ${local}`);
}

function readOptions(optionText: string, rules: ExpressionRules): PullOptions {
  const options = defaultPullOptions(rules.inInitrd);
  let rest: string | undefined = optionText;
  while (rest !== undefined) {
    const from: string = rest;
    const taken = refuseDangling(
      () => takeField(from, ','),
      `Failed to extract option from pull option expression '${optionText}'`,
    );
    applyPullOption(options, taken.field, rules.is257, rules.log);
    rest = taken.rest;
  }
  return options;
}

/** The remote beside the file that the firmware booted. */
function urlFromBootOrigin(remote: string, rules: ExpressionRules): string | undefined {
  const origin = rules.bootOrigin();
  if (origin === undefined) {
    const why = "Option 'bootorigin' specified, but StubDeviceURL EFI variable not set";
    rules.log('debug', `${why}, not scheduling import job for '${remote}'.`);
    return undefined;
  }
  if (origin.startsWith('file:') || !isPullUrl(origin))
    throw new Refusal(`Value of 'StubDeviceURL' is not a valid URL, refusing: ${origin}`);
  const url = replaceLastUrlComponent(origin, remote);
  if (url === undefined)
    throw new Refusal(`Failed to replace last component of URL '${origin}': ${errnoText('EINVAL')}`);
  rules.log('info', `URL reported by StubDeviceURL is '${origin}', derived download URL '${url}' from it.`);
  return url;
}

function wishOf(options: PullOptions, url: string, text: string): PullWish {
  const {type, imageClass, digest} = options;
  if (type === undefined)
    throw new Refusal(`No image type (raw, tar) specified in pull expression, refusing: ${text}`);
  if (imageClass === undefined) {
    const classes = '(machine, portable, sysext, confext)';
    throw new Refusal(`No image class ${classes} specified in pull expression, refusing: ${text}`);
  }
  if (digest !== undefined && !/^[0-9A-Fa-f]{64}$/.test(digest))
    throw new Refusal(`Not a valid SHA-256 digest, refusing: ${digest}`);
  const {readOnly, runtime, blockdev, skipIfPresent, refresh, retries} = options;
  const verify = digest === undefined ? options.verify : {sha256: digest.toLowerCase()};
  const rest = {readOnly, runtime, blockdev, skipIfPresent, refresh, retries};
  return {type, imageClass, url, localName: undefined, verify, ...rest};
}

function deriveName(url: string, type: PullWish['type'], log: Log): string {
  const component = lastUrlComponent(url);
  if ('problem' in component) {
    const text = errnoText(component.problem === 'no-host' ? 'EINVAL' : 'EADDRNOTAVAIL');
    throw new Refusal(`Failed to generate local name from URL '${url}': ${text}`);
  }
  const name = stripSuffixes(component.name, type);
  if (name === '' && type === 'tar')
    throw new Refusal(`Failed to strip suffix from URL '${url}': ${errnoText('EINVAL')}`);
  log('info', `Saving downloaded file under local name '${name}'.`);
  return name;
}
