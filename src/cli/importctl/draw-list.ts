/** A list as importctl prints it, or as imgctl prints JSON (spec/importctl.md §6; design.md §7). */

import type {CommandContext} from '../context.ts';
import {drawLegacyTable, type LegacyColumn, legacyJson} from './lists.ts';
import type {ImportctlSettings} from './parse.ts';

export interface ListShape<T> {
  columns: readonly LegacyColumn[];
  row(item: T): string[];
  json(item: T): object;
  /** `transfers`, `images`: of the footer. */
  noun: string;
}

export function drawList<T>(
  items: readonly T[],
  shape: ListShape<T>,
  settings: ImportctlSettings,
  context: CommandContext,
): string {
  if (settings.json !== 'off') {
    // The old name prints nothing for an empty list, as importctl does.
    if (settings.json === 'lines') return items.map((item) => JSON.stringify(shape.json(item))).join('\n');
    if (items.length === 0) return context.program === 'importctl' ? '' : '[]';
    const isPretty =
      settings.json === 'pretty' || (settings.json === 'auto' && context.environment.stdout.isTTY);
    return legacyJson(items.map(shape.json), isPretty ? 'pretty' : 'short');
  }
  const {noun} = shape;
  if (items.length === 0) return settings.legend ? `No ${noun}.` : '';
  const lines = drawLegacyTable(shape.columns, items.map(shape.row), settings.legend);
  return [...lines, ...(settings.legend ? ['', `${items.length} ${noun} listed.`] : [])].join('\n');
}
