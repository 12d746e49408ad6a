/** What holds an image beside its dependents (design.md §5): uses by the host, and running transfers. */

import {findHostUses} from '../instances/host-uses.ts';
import type {ActionContext} from './context.ts';
import type {InstalledImage} from './installed.ts';

/** A phrase each, for messages. The caller holds the image's lock, so a transfer is never its own. */
export async function findUses(
  context: Pick<ActionContext, 'engine'>,
  {pool, record}: Pick<InstalledImage, 'pool'> & {record: Pick<InstalledImage['record'], 'localName'>},
): Promise<string[]> {
  const {imageClass} = pool.store;
  const name = record.localName;
  const stored = (await context.engine.listImages(pool.store)).find((image) => image.name === name);
  const dataset = stored?.zfs?.dataset;
  const host = stored ? findHostUses({path: stored.path, imageClass, name, dataset}) : [];
  const transfers = (await context.engine.listTransfers())
    .filter((transfer) => transfer.imageClass === imageClass && transfer.localName === name)
    .map((transfer) => `busy in transfer ${transfer.id} (${transfer.type})`);
  return [...host.map(({text}) => text), ...transfers];
}
