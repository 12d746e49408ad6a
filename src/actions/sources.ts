/** `sources`: which sources are configured, and changing that (spec/imgadm.md §5). */

import {ImgctlError} from '../errors.ts';
import {normaliseUrl} from '../imgapi/source-url.ts';
import type {SourceAuth, SourceSettings, VerifiedSource} from '../sources/source.ts';
import {sourceType} from '../sources/source-type.ts';
import type {Reporter} from './context.ts';

/** The configured list. */
export interface SourceSettingsStore {
  /** As it is now; the default list when none is configured. */
  read(): Promise<SourceSettings[]>;
  /**
   * Gives `edit` the list as it is on disk while no other process can change it, and keeps what it returns for good,
   * unless that is the very list it was given. `isDefault` tells that nothing is configured.
   */
  change(
    edit: (sources: SourceSettings[], isDefault: boolean) => SourceSettings[],
  ): Promise<SourceSettings[]>;
}

export interface SourcesContext {
  store: SourceSettingsStore;
  /** Opens a source that need not be configured; refuses settings that make no sense. */
  open(settings: SourceSettings): Promise<VerifiedSource>;
  report: Pick<Reporter, 'step' | 'notice' | 'warn'>;
  signal: AbortSignal;
}

/** A source as a user describes it; nothing of it is checked yet. */
export interface WantedSource {
  url: string;
  type: string;
  insecure?: boolean;
  name?: string | undefined;
  auth?: SourceAuth | undefined;
}

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** Adds a source at the end unless the same one is there; asks it first, unless told not to (`SourcePing`). */
export async function addSource(
  context: SourcesContext,
  wanted: WantedSource,
  options: {skipPing: boolean},
): Promise<SourceSettings[]> {
  const settings = checkedSettings(wanted);
  const source = await context.open(settings);
  const isThere = (await context.store.read()).some((other) => isSameSource(other, settings));
  if (!isThere && !options.skipPing) await source.ping({signal: context.signal});
  let same: SourceSettings | undefined;
  const sources = await context.store.change((current) => {
    same = current.find((other) => isSameSource(other, settings));
    if (same) return current;
    refuseNameTwice(settings, current);
    return [...current, settings];
  });
  context.report.step(same ? `Already have ${sourceText(same)}, no change` : `Added ${sourceText(settings)}`);
  return sources;
}

/** Deletes every source with that normalised URL, of any type. */
export async function deleteSource(context: SourcesContext, url: string): Promise<SourceSettings[]> {
  const wanted = normaliseUrl(url);
  let deleted: SourceSettings[] = [];
  const kept = await context.store.change((current) => {
    deleted = current.filter((source) => normaliseUrl(source.url) === wanted);
    return deleted.length === 0 ? current : current.filter((source) => !deleted.includes(source));
  });
  if (deleted.length === 0) context.report.step(`Do not have image source "${url}", no change`);
  for (const source of deleted) context.report.step(`Deleted ${sourceText(source)}`);
  return kept;
}

/** A source, and after a check whether it answered. */
export interface ListedSource extends SourceSettings {
  ok?: boolean;
  error?: string;
}

/** Asks all sources at once; one that does not answer is a row, no failure. */
export async function checkSources(context: SourcesContext): Promise<ListedSource[]> {
  const sources = await context.store.read();
  return Promise.all(
    sources.map(async (settings): Promise<ListedSource> => {
      try {
        await (await context.open(settings)).ping({signal: context.signal});
        return {...settings, ok: true};
      } catch (error) {
        if (context.signal.aborted || !(error instanceof ImgctlError)) throw error;
        return {...settings, ok: false, error: error.message};
      }
    }),
  );
}

/** `"TYPE" image source "URL"` and what is special about it. */
export function sourceText(source: SourceSettings): string {
  const insecure = source.insecure ? ' (insecure)' : '';
  const channel = source.channel === undefined ? '' : ` (channel=${source.channel})`;
  return `"${source.type}" image source "${source.url}"${insecure}${channel}`;
}

/** Same URL when normalised, type, insecure and channel; the name and who asks do not count. */
export function isSameSource(a: SourceSettings, b: SourceSettings): boolean {
  return (
    a.type === b.type &&
    normaliseUrl(a.url) === normaliseUrl(b.url) &&
    Boolean(a.insecure) === Boolean(b.insecure) &&
    a.channel === b.channel
  );
}

function checkedSettings({url, type, insecure, name, auth}: WantedSource): SourceSettings {
  if (name !== undefined && !namePattern.test(name)) {
    throw new ImgctlError('InvalidArgument', `invalid source name: "${name}"`, {
      hint: 'a name has letters, digits, ".", "_" and "-", begins with a letter or digit, and is short',
    });
  }
  return {
    url,
    type: sourceType(type, url),
    ...(insecure && {insecure}),
    ...(name !== undefined && {name}),
    ...(auth !== undefined && {auth}),
  };
}

function refuseNameTwice({name}: SourceSettings, sources: readonly SourceSettings[]): void {
  const other = name === undefined ? undefined : sources.find((source) => source.name === name);
  if (other) throw new ImgctlError('InvalidArgument', `${sourceText(other)} is named "${name}" already`);
}
