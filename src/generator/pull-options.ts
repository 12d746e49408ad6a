/** The options of a pull expression: `raw,machine,verify=no`. */

import {type ImageClass, isImageClass} from '../import1/image-class.ts';
import type {PullWish} from '../import1/pull-wish.ts';
import type {Log} from './journal.ts';

export interface PullOptions {
  type: 'raw' | 'tar' | undefined;
  imageClass: ImageClass | undefined;
  readOnly: boolean;
  verify: Exclude<PullWish['verify'], object>;
  /** Undefined when not given; a text that is no SHA-256 stays, for the refusal. */
  digest: string | undefined;
  runtime: boolean;
  blockdev: boolean;
  bootorigin: boolean;
  skipIfPresent: boolean;
  refresh: boolean;
  retries: number;
}

export function defaultPullOptions(inInitrd: boolean): PullOptions {
  return {
    type: undefined,
    imageClass: undefined,
    readOnly: false,
    verify: 'signature',
    digest: undefined,
    runtime: inInitrd,
    blockdev: false,
    bootorigin: false,
    skipIfPresent: false,
    refresh: false,
    retries: 0,
  };
}

/** Reads one option into `options`; what is not understood is warned about and ignored. */
export function applyPullOption(options: PullOptions, word: string, is257: boolean, log: Log): void {
  if (applyOldOption(options, word, log)) return;
  if (!is257 && applyNewOption(options, word, log)) return;
  log('warning', `Unknown pull option, ignoring: ${word}`);
}

/** The options of 257. */
function applyOldOption(options: PullOptions, word: string, log: Log): boolean {
  if (word === 'ro' || word === 'rw') options.readOnly = word === 'ro';
  else if (word === 'raw' || word === 'tar') options.type = word;
  else if (isImageClass(word)) options.imageClass = word;
  else if (word.startsWith('verify=')) setVerify(options, word.slice('verify='.length), log);
  else return false;
  return true;
}

function setVerify(options: PullOptions, mode: string, log: Log): void {
  if (mode === 'no' || mode === 'checksum' || mode === 'signature') options.verify = mode;
  else log('warning', `Unknown verification mode, ignoring: ${mode}`);
}

/** The options of 258, and ours. */
function applyNewOption(options: PullOptions, word: string, log: Log): boolean {
  if (word === 'blockdev') options.blockdev = true;
  else if (word === 'bootorigin') options.bootorigin = true;
  // A type that has no place in a class directory: systemd aborts over it, here it leaves no type.
  else if (word === 'oci') options.type = undefined;
  else if (word === 'skip-if-present') options.skipIfPresent = true;
  else if (word === 'refresh') options.refresh = true;
  else return applyValuedOption(options, word, log);
  return true;
}

function applyValuedOption(options: PullOptions, word: string, log: Log): boolean {
  const at = word.indexOf('=');
  const [key, value] = [word.slice(0, at), word.slice(at + 1)];
  if (key === 'runtime') {
    const wanted = parseBoolean(value);
    if (wanted === undefined) log('warning', `Unknown runtime= parameter, ignoring: ${value}`);
    else options.runtime = wanted;
  } else if (key === 'retry') {
    if (/^\d{1,3}$/.test(value)) options.retries = Number(value);
    else log('warning', `Unknown retry= parameter, ignoring: ${value}`);
  } else if (key === 'digest') options.digest = value;
  else return false;
  return true;
}

/** The words of systemd for yes and no, in any case. */
export function parseBoolean(text: string): boolean | undefined {
  const word = text.toLowerCase();
  if (['1', 'yes', 'y', 'true', 't', 'on'].includes(word)) return true;
  if (['0', 'no', 'n', 'false', 'f', 'off'].includes(word)) return false;
  return undefined;
}
