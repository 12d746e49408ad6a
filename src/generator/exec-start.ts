/**
 * What a unit runs. Both forms are written for systemd's own reader of command lines: `:` keeps `$` as it is, `%` is doubled,
 * and a backslash, which that reader takes away even inside quotes, is doubled too.
 */

import {imageNameArgument} from '../import1/name-argument.ts';
import {isImageWish, type PullWish, type Wish} from '../import1/pull-wish.ts';
import {escapeField} from './escaped-fields.ts';

/** True for a wish that importd cannot be asked for. */
export function isOursOnly(wish: Wish): boolean {
  return isImageWish(wish) || wish.refresh || typeof wish.verify === 'object';
}

/** importd's Pull call; `imageRoot` is what 257 does not have. */
export function varlinkCommand(wish: PullWish, imageRoot: string | undefined): string {
  const json = jsonObject({
    remote: wish.url,
    local: wish.localName,
    class: wish.imageClass,
    type: wish.type,
    readOnly: wish.readOnly,
    verify: String(wish.verify),
    imageRoot,
  });
  const quoted = doubled(json).replaceAll("'", '\\u0027');
  const timeout = imageRoot === undefined ? '' : ' --timeout=infinity';
  const call = `:varlinkctl call -q --more${timeout} /run/systemd/io.systemd.Import`;
  return `${call} io.systemd.Import.Pull '${quoted}'`;
}

/** The members that are there, compact, in their order; bytes above ASCII as they are. */
function jsonObject(members: Record<string, string | boolean | undefined>): string {
  return JSON.stringify(members);
}

/** `imgctl pull-raw` or `pull-tar` where its options can say the wish, else `imgctl apply` with the expression. */
export function imgctlCommand(wish: Wish, launcher: string): string {
  const words = [launcher, ...imgctlArguments(wish)];
  return `:${words.map(quoteWord).join(' ')}`;
}

function imgctlArguments(wish: Wish): string[] {
  if (!isImageWish(wish)) return pullArguments(wish) ?? ['apply', '--pull', expressionOf(wish)];
  const words = ['import', `--pool=${wish.imageClass}`];
  if (wish.channel !== undefined) words.push(`--channel=${wish.channel}`);
  if (wish.localName !== undefined) words.push(`--name=${wish.localName}`);
  return [...words, wish.image];
}

function pullArguments(wish: PullWish): string[] | undefined {
  if (wish.refresh) return undefined;
  const name = wish.localName === undefined ? undefined : imageNameArgument(wish.localName, wish.type);
  if (wish.localName !== undefined && name === undefined) return undefined;
  const verify = typeof wish.verify === 'object' ? wish.verify.sha256 : wish.verify;
  // As importd does when it is asked over Varlink; the default of the command is another.
  const options = [`--class=${wish.imageClass}`, `--verify=${verify}`, '--keep-download=no'];
  if (wish.readOnly) options.push('--read-only');
  return [`pull-${wish.type}`, ...options, '--', wish.url, ...(name === undefined ? [] : [name])];
}

/** The wish as a pull expression that says it whole. */
export function expressionOf(wish: PullWish): string {
  const options: string[] = [wish.type, wish.imageClass, wish.readOnly ? 'ro' : 'rw'];
  options.push(typeof wish.verify === 'object' ? `digest=${wish.verify.sha256}` : `verify=${wish.verify}`);
  options.push(`runtime=${wish.runtime ? 'yes' : 'no'}`);
  if (wish.skipIfPresent) options.push('skip-if-present');
  if (wish.refresh) options.push('refresh');
  return `${options.join(',')}:${escapeField(wish.localName ?? '', ':')}:${wish.url}`;
}

/** One word of a command line in a unit. */
export function quoteWord(word: string): string {
  const text = doubled(word);
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `"${text.replaceAll('"', '\\"')}"`;
}

function doubled(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('%', '%%');
}
