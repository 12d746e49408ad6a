/**
 * What a verb of the importctl family asks of the engine, from its words: checks and names in importctl's order with
 * importctl's texts (spec/importctl.md §3, §4). Pure but for what it is told about files.
 */

import type {ExportCompression, VerifyMode} from '../engine/engine.ts';
import {ImgctlError} from '../errors.ts';
import type {ImageClass} from '../import1/image-class.ts';
import {isImageName} from '../import1/image-name.ts';
import {stripSuffixes} from '../import1/local-name.ts';
import {isPullUrl, lastUrlComponent} from '../import1/pull-url.ts';

export type TransferVerb =
  | 'pull-tar'
  | 'pull-raw'
  | 'import-tar'
  | 'import-raw'
  | 'import-fs'
  | 'export-tar'
  | 'export-raw';

export interface TransferChoices {
  imageClass: ImageClass | undefined;
  verify: VerifyMode;
  force: boolean;
  readOnly: boolean;
  keepDownload: boolean | undefined;
  format: ExportCompression | undefined;
}

type PullVerb = 'pull-tar' | 'pull-raw';

/** Plain data: it travels to the process that does the work. */
export interface TransferOrder {
  verb: TransferVerb;
  imageClass: ImageClass;
  /** Undefined for a pull that keeps only the download copy. */
  localName: string | undefined;
  /** URL of a pull; path of an import or export, `-` being standard input or output. */
  remote: string;
  verify: VerifyMode;
  force: boolean;
  readOnly: boolean;
  keepDownload: boolean;
  compression: ExportCompression;
}

const classHint =
  'No image class specified, retry with --class= set to one of: machine (downloads to /var/lib/machines/), portable (downloads to /var/lib/portables/), sysext (downloads to /var/lib/extensions/), confext (downloads to /var/lib/confexts/).';

const exportSuffixes: readonly (readonly [string, ExportCompression])[] = [
  ['.xz', 'xz'],
  ['.gz', 'gzip'],
  ['.bz2', 'bzip2'],
  ['.zst', 'zstd'],
];

/** The bus also has a word for what nobody chose. */
const compressions = new Map<string, ExportCompression>([
  ['', 'uncompressed'],
  ['uncompressed', 'uncompressed'],
  ...exportSuffixes.map(([, name]) => [name, name] as const),
]);

/** `Usage` with importctl's text for anything that is wrong before a transfer begins. */
export function makeTransferOrder(
  verb: TransferVerb,
  words: readonly string[],
  choices: TransferChoices,
): TransferOrder {
  const {imageClass} = choices;
  if (!imageClass) throw usage(classHint);
  const common = {
    verb,
    imageClass,
    verify: choices.verify,
    force: choices.force,
    readOnly: choices.readOnly,
    keepDownload: choices.keepDownload ?? imageClass === 'machine',
    compression: choices.format ?? 'uncompressed',
  } as const;
  const [first = '', second] = words;
  if (verb === 'pull-tar' || verb === 'pull-raw')
    return {...common, remote: first, localName: pullName(verb, first, second)};
  if (verb === 'export-tar' || verb === 'export-raw') {
    if (!isImageName(first)) throw usage(`Image name ${first} is not valid.`);
    const target = second === undefined || second === '' ? '-' : second;
    return {
      ...common,
      localName: first,
      remote: target,
      compression: choices.format ?? compressionOf(target),
    };
  }
  return {...common, remote: first === '' ? '-' : first, localName: importName(verb, first, second)};
}

function pullName(verb: PullVerb, url: string, given: string | undefined): string | undefined {
  if (!isPullUrl(url)) throw usage(`URL '${url}' is not valid.`);
  if (given === '-' || given === '') return undefined;
  return localNameOf(verb, given ?? componentOf(url));
}

/**
 * An order of the bus, where a pull may leave out its name, and an export may name any compression: importd finds both
 * out in the transfer, not in the call (spec/import1-dbus.md §5).
 */
export function settleBusOrder(order: TransferOrder): TransferOrder {
  const {verb, localName, remote} = order;
  if (verb === 'pull-tar' || verb === 'pull-raw')
    return localName === undefined ? {...order, localName: localNameOf(verb, componentOf(remote))} : order;
  const compression = compressions.get(order.compression);
  if (compression === undefined) throw usage(`Unknown format: ${order.compression}`);
  return {...order, compression};
}

function localNameOf(verb: PullVerb, text: string): string {
  const name = stripSuffixes(text, verb === 'pull-tar' ? 'tar' : 'raw');
  if (!isImageName(name)) throw usage(`Local name ${name} is not a suitable image name.`);
  return name;
}

function componentOf(url: string): string {
  try {
    return lastUrlComponent(url);
  } catch (error) {
    const isHostless = error instanceof ImgctlError && error.message.includes('host');
    const reason = isHostless ? 'Invalid argument' : 'Cannot assign requested address';
    throw usage(`Failed to get final component of URL: ${reason}`);
  }
}

function importName(verb: TransferVerb, file: string, given: string | undefined): string {
  const isTree = verb === 'import-fs';
  const chosen = given === '-' || given === '' ? undefined : given;
  if (chosen === undefined && (file === '-' || file === '')) throw usage('Need either path or local name.');
  if (!isTree && file.endsWith('/'))
    throw usage(`Path '${file}' refers to directory, but we need a regular file.`);
  const base = chosen ?? file.replace(/\/+$/, '').split('/').at(-1) ?? '';
  const name = isTree ? base : stripSuffixes(base, verb === 'import-tar' ? 'tar' : 'raw');
  if (!isImageName(name)) throw usage(`Local name ${name} is not a suitable image name.`);
  return name;
}

function compressionOf(file: string): ExportCompression {
  return exportSuffixes.find(([suffix]) => file.endsWith(suffix))?.[1] ?? 'uncompressed';
}

function usage(message: string): ImgctlError {
  return new ImgctlError('Usage', message);
}
