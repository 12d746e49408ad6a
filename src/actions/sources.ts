/** `sources`: which sources are configured, and changing that (spec/imgadm.md §5). */

import {normaliseUrl} from '../imgapi/source-url.ts';
import type {SourceSettings, VerifiedSource} from '../sources/source.ts';
import type {Reporter} from './context.ts';

/** The configured list; `write` replaces it for good. */
export interface SourceSettingsStore {
  read(): Promise<SourceSettings[]>;
  write(sources: SourceSettings[]): Promise<void>;
}

export interface SourcesContext {
  store: SourceSettingsStore;
  /** Opens a source that is not configured yet, to see whether it answers. */
  open(settings: SourceSettings): Promise<VerifiedSource>;
  report: Pick<Reporter, 'step'>;
  signal: AbortSignal;
}

/** Adds a source at the end unless the same one is there; asks it first, unless told not to (`SourcePing`). */
export async function addSource(
  context: SourcesContext,
  settings: SourceSettings,
  options: {skipPing: boolean},
): Promise<SourceSettings[]> {
  const sources = await context.store.read();
  const same = sources.find((source) => isSame(source, settings));
  if (same) {
    context.report.step(`Already have ${sourceText(same)}, no change`);
    return sources;
  }
  if (!options.skipPing) await (await context.open(settings)).ping({signal: context.signal});
  const changed = [...sources, settings];
  await context.store.write(changed);
  context.report.step(`Added ${sourceText(settings)}`);
  return changed;
}

/** Deletes every source with that normalised URL, of any type. */
export async function deleteSource(context: SourcesContext, url: string): Promise<SourceSettings[]> {
  const sources = await context.store.read();
  const wanted = normaliseUrl(url);
  const kept = sources.filter((source) => normaliseUrl(source.url) !== wanted);
  if (kept.length === sources.length) {
    context.report.step(`Do not have image source "${url}", no change`);
    return sources;
  }
  await context.store.write(kept);
  for (const source of sources)
    if (!kept.includes(source)) context.report.step(`Deleted ${sourceText(source)}`);
  return kept;
}

/** `"TYPE" image source "URL"` and what is special about it. */
export function sourceText(source: SourceSettings): string {
  return `"${source.type}" image source "${source.url}"${source.insecure ? ' (insecure)' : ''}`;
}

function isSame(a: SourceSettings, b: SourceSettings): boolean {
  return (
    a.type === b.type &&
    normaliseUrl(a.url) === normaliseUrl(b.url) &&
    Boolean(a.insecure) === Boolean(b.insecure)
  );
}
