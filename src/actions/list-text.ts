/** `list` of thousands of images, as the one text that SQLite makes of them (catalog/table-text.ts). */

import type {CompareNames} from '../catalog/records.ts';
import type {TextQuestion} from '../catalog/table-text.ts';
import type {InstalledContext} from './installed.ts';

export type ListTextContext = InstalledContext & {
  /** Opened only where there is much to compare. */
  openCompare: () => Promise<CompareNames>;
};

/**
 * What `listImages` would list: the catalog alone is not the truth, but where the records are exactly those it knows, and
 * each of them has its data, it holds nothing else. Undefined where there is any doubt: then look at each.
 */
export async function listImagesText(
  context: ListTextContext,
  question: TextQuestion,
): Promise<string | undefined> {
  const {catalog, records, engine, pools} = context;
  const drawn = engine.holds && (await catalog.images.draw(question));
  if (!drawn) return undefined;
  const compare = await context.openCompare();
  if (!records.areAll(drawn.uuids, compare)) return undefined;
  for (const [name, localNames] of drawn.localNames) {
    const pool = pools.find((candidate) => candidate.name === name);
    if (!pool || !engine.holds?.(pool.store, localNames, compare)) return undefined;
  }
  return drawn.text;
}
