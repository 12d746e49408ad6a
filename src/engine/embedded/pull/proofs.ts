/** The checksum list and the signature of a pull: where they are looked for, and in which order (spec/engine.md §3). */
import type {HttpClient} from '../../../http/http-client.ts';
import {lastUrlComponent, siblingUrl} from '../../../import1/pull-url.ts';
import {maxChecksumListBytes} from '../../../verify/checksum-list.ts';
import type {VerifyMode} from '../../engine.ts';
import {type Absent, fetchSmall} from './beside.ts';
import type {PullProgress} from './pull-progress.ts';

const listName = 'SHA256SUMS';
const weight = 0.05;

export interface ProofContext {
  url: string;
  mode: VerifyMode;
  http: () => Promise<HttpClient>;
  log: (level: number, line: string) => void;
  signal: AbortSignal;
  progress: PullProgress;
}

/** Undefined for what was not asked for; a word for what did not come. */
export interface Proofs {
  list: Buffer | Absent | undefined;
  /** Where the list was found. */
  listUrl?: string | undefined;
  signature: Buffer | Absent | undefined;
}

/** Fetches what the mode needs, both at the same time; the two searches do not know of each other, as in importd. */
export async function fetchProofs(context: ProofContext): Promise<Proofs> {
  const {url, mode} = context;
  if (mode === 'no' || typeof mode === 'object') return {list: undefined, signature: undefined};
  const name = lastUrlComponent(url);
  const [list, signature] = await Promise.all([
    fetchFirst(context, 'list', [`${name}.sha256`, listName]),
    mode === 'signature'
      ? fetchFirst(context, 'signature', [
          `${name}.sha256.asc`,
          `${name}.sha256.gpg`,
          `${listName}.gpg`,
          `${listName}.asc`,
        ])
      : undefined,
  ]);
  return {list: list.found, signature: signature?.found, listUrl: list.url};
}

/** The next name is asked for only where the one before is missing. */
async function fetchFirst(
  {url, http, log, signal, progress}: ProofContext,
  part: string,
  names: readonly string[],
): Promise<{found: Buffer | Absent; url: string | undefined}> {
  progress.expect(part, weight);
  for (const [index, name] of names.entries()) {
    const isLast = index === names.length - 1;
    const place = siblingUrl(url, name);
    const found = await fetchSmall({
      url: place,
      http,
      log,
      signal,
      maxBytes: maxChecksumListBytes,
      isQuietIfMissing: !isLast,
    });
    if (found === 'missing' && !isLast) continue;
    progress.update(part, 1);
    return {found, url: place};
  }
  return {found: 'missing', url: undefined};
}
