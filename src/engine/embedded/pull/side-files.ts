/** The files that go with an image: settings, root hash, its signature, verity data (spec/engine.md §2). */
import {closeSync, constants, fchmodSync, fsyncSync, lstatSync, openSync} from 'node:fs';
import path from 'node:path';
import {errnoOf, ImgctlError} from '../../../errors.ts';
import type {HttpClient} from '../../../http/http-client.ts';
import {stripSuffixes} from '../../../import1/local-name.ts';
import {lastUrlComponent, siblingUrl} from '../../../import1/pull-url.ts';
import {copyFileContents} from '../../../sys/copy-file.ts';
import {renameAt} from '../../../sys/files.ts';
import {type Staging, stagedSide} from '../../../sys/staging.ts';
import type {PullRequest} from '../../engine.ts';
import {fetchToFile} from './beside.ts';
import {describeSource} from './describe-source.ts';
import type {PullProgress} from './pull-progress.ts';

interface SideKind {
  suffix: '.nspawn' | '.roothash' | '.roothash.p7s' | '.verity';
  /** How importd calls it. */
  title: string;
  weight: number;
}

const settings: SideKind = {suffix: '.nspawn', title: 'Settings file', weight: 0.05};
const ofDisks: SideKind[] = [
  {suffix: '.roothash', title: 'Root hash file', weight: 0.05},
  {suffix: '.roothash.p7s', title: 'Root hash signature file', weight: 0.05},
  {suffix: '.verity', title: 'Verity integrity file', weight: 0.1},
];
const maxSmallBytes = 1024 * 1024;

export interface SideFile {
  suffix: SideKind['suffix'];
  url: string;
  sha256: string;
  etag: string | undefined;
  modifiedMs: number | undefined;
}

export interface SideContext {
  request: PullRequest;
  http: () => Promise<HttpClient>;
  log: (level: number, line: string) => void;
  signal: AbortSignal;
  progress: PullProgress;
  /** Verity data grow with the image, so importd's limit for small files would lose them. */
  maxImageBytes: number;
}

/** Fetches all that such a pull asks for, at the same time, into the staging directory. What does not come is left out. */
export async function fetchSideFiles(context: SideContext, staging: Staging): Promise<SideFile[]> {
  const {request, log, progress} = context;
  const kinds = kindsOf(request);
  for (const kind of kinds) progress.expect(kind.suffix, kind.weight);
  const files = await Promise.all(
    kinds.map(async (kind) => {
      // What is said of one file stays together.
      const lines: [level: number, line: string][] = [];
      const file = await fetchOne({...context, log: (...line) => lines.push(line)}, staging, kind);
      if (!file) lines.push([6, `${kind.title} could not be retrieved, proceeding without.`]);
      for (const [level, line] of lines) log(level, line);
      progress.update(kind.suffix, 1);
      return file;
    }),
  );
  return files.flatMap((file) => file ?? []);
}

/** With a literal digest nothing could verify them (spec/engine.md §3). */
function kindsOf({format, store, verify}: PullRequest): SideKind[] {
  if (typeof verify === 'object') return [];
  return [...(store.imageClass === 'machine' ? [settings] : []), ...(format === 'raw' ? ofDisks : [])];
}

async function fetchOne(
  context: SideContext,
  staging: Staging,
  {suffix}: SideKind,
): Promise<SideFile | undefined> {
  const {request, http, log, signal, progress, maxImageBytes} = context;
  const name = `${stripSuffixes(lastUrlComponent(request.url), request.format)}${suffix}`;
  const url = siblingUrl(request.url, name);
  const maxBytes = suffix === '.verity' ? maxImageBytes : maxSmallBytes;
  const onFraction = (fraction: number) => progress.update(suffix, fraction);
  const flags = constants.O_CREAT | constants.O_EXCL | constants.O_RDWR;
  const fd = openSync(path.join(staging.path, stagedSide(suffix)), flags, 0o644);
  try {
    const file = await fetchToFile({url, http, log, signal, maxBytes, onFraction}, fd);
    if (typeof file === 'string') return undefined;
    describeSource(fd, {url, etag: file.etag, modifiedMs: file.modifiedMs});
    fsyncSync(fd);
    return {suffix, url, ...file};
  } finally {
    closeSync(fd);
  }
}

export interface SidePlace {
  staging: Staging;
  /** Directory of the images. */
  directory: string;
  /** Name without the suffix. */
  stem: string;
  mode: number;
  force: boolean;
}

/** Moves a staged file to its name; false if one is there already and may not be replaced. */
export function placeSideFile({suffix}: SideFile, place: SidePlace): boolean {
  const {staging, directory, stem, mode, force} = place;
  const staged = stagedSide(suffix);
  const fd = openSync(path.join(staging.path, staged), constants.O_RDONLY | constants.O_NOFOLLOW);
  const dir = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fchmodSync(fd, mode);
    renameAt(staging.fd, staged, dir, `${stem}${suffix}`, force ? 'replace' : 'noReplace');
    fsyncSync(dir);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST' && !force) return false;
    throw error;
  } finally {
    closeSync(fd);
    closeSync(dir);
  }
}

/** Stages a placed file once more, so that it can get a second name with another mode. */
export async function stageSideCopy(file: SideFile, placed: string, staging: Staging): Promise<void> {
  const from = openSync(placed, constants.O_RDONLY | constants.O_NOFOLLOW);
  const flags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY;
  try {
    if (!lstatSync(placed).isFile()) throw new ImgctlError('FileSystem', `"${placed}" is not a file`);
    const to = openSync(path.join(staging.path, stagedSide(file.suffix)), flags, 0o644);
    try {
      await copyFileContents(from, to);
      describeSource(to, file);
      fsyncSync(to);
    } finally {
      closeSync(to);
    }
  } finally {
    closeSync(from);
  }
}
