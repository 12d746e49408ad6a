/** `ignore IMAGE`: lists pass over the image until `--off` (design.md §5). The mark is part of the record. */

import type {ActionContext} from './context.ts';
import {lockImport} from './image-locks.ts';
import {getInstalled} from './installed.ts';

export interface IgnoreResult {
  action: 'ignored' | 'unignored';
  uuid: string;
  /** False when it was so already. */
  changed: boolean;
}

export async function ignoreImage(
  context: ActionContext,
  {uuid, off}: {uuid: string; off: boolean},
): Promise<IgnoreResult> {
  const lock = await lockImport(context, uuid);
  try {
    const {record} = await getInstalled(context, uuid, undefined);
    const changed = Boolean(record.ignored) === off;
    if (changed) {
      const {ignored: _old, ...rest} = record;
      const marked = off ? rest : {...rest, ignored: true};
      await context.records.write(marked);
      await context.catalog.images.put(marked);
    }
    return {action: off ? 'unignored' : 'ignored', uuid, changed};
  } finally {
    lock.release();
  }
}
