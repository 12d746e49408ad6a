/** What the listing commands of the imgadm family share: columns, sort, filters and drawing (spec/imgadm.md §3, §4). */

import {isListedField, type WantedRows} from '../catalog/wanted-rows.ts';
import {
  fieldValue,
  type ImageRow,
  knownFields,
  manifestFieldsOf,
  parseFieldList,
} from '../manifest/fields.ts';
import {parseFilter} from '../manifest/filter.ts';
import {parseSort, sortRows} from '../manifest/sort.ts';
import type {FlagTable} from './flags.ts';
import {cellText, drawTable} from './table.ts';

export const listFlags = {
  json: {kind: 'boolean', char: 'j', summary: 'print JSON'},
  'no-header': {kind: 'boolean', char: 'H', summary: 'leave out the header'},
  columns: {kind: 'string', char: 'o', value: 'FIELD,...', summary: 'columns to show'},
  sort: {
    kind: 'string',
    char: 's',
    value: 'FIELD,...',
    summary: 'sort by these, "-" in front reverses (default published_at,name)',
  },
} as const satisfies FlagTable;

export interface ListFlagValues {
  'no-header': boolean;
  columns: string | undefined;
  sort: string | undefined;
}

const defaultSort = 'published_at,name';

/** `-o help` and `-s help` ask for the fields there are (ux.md §4.1). */
export function asksForFields(flags: ListFlagValues): boolean {
  return flags.columns === 'help' || flags.sort === 'help';
}

export function fieldsHelp(): string {
  return drawTable({
    columns: ['field', 'meaning'],
    rows: knownFields.map(({name, meaning}) => [name, meaning]),
    header: true,
    terminalColumns: undefined,
  });
}

/** Refuses bad columns, sort fields and filters before anything is asked or read. */
export function checkListFlags(
  flags: ListFlagValues,
  filters: readonly string[],
  defaultColumns: readonly string[],
): void {
  columnsOf(flags, defaultColumns);
  parseSort(flags.sort ?? defaultSort);
  filters.map(parseFilter);
}

/** What the rows must have to be selected and drawn; all of it for JSON. */
export function wantedRows(
  flags: ListFlagValues & {json: boolean},
  args: readonly string[],
  defaultColumns: readonly string[],
): WantedRows {
  const filters = args.map(parseFilter);
  const sort = parseSort(flags.sort ?? defaultSort).map(({path}) => path);
  const paths = [...columnsOf(flags, defaultColumns), ...sort, ...filters.map(({path}) => path)];
  const isListed = (path: string): boolean => manifestFieldsOf(path)?.every(isListedField) === true;
  return {
    whole: flags.json || !paths.every(isListed),
    filters: filters.flatMap(({path, operator, operand}) => {
      // true and false stand for more than a text.
      if (!isListedField(path) || operator === '>=' || operand === 'true' || operand === 'false') return [];
      return [{field: path, operator, operand}];
    }),
  };
}

/** Filters and sorts; rows that compare equal keep their order. */
export function selectRows<R extends ImageRow>(
  rows: readonly R[],
  flags: ListFlagValues,
  filters: readonly string[],
): R[] {
  const wanted = filters.map(parseFilter);
  const kept = rows.filter((row) => wanted.every((filter) => filter.matches(row)));
  return sortRows(kept, parseSort(flags.sort ?? defaultSort));
}

export function drawRows(
  rows: readonly ImageRow[],
  flags: ListFlagValues,
  options: {defaultColumns: readonly string[]; terminalColumns: number | undefined; ellipsis: string},
): string {
  const columns = columnsOf(flags, options.defaultColumns);
  return drawTable({
    columns,
    rows: rows.map((row) => columns.map((column) => cellText(fieldValue(row, column)))),
    header: !flags['no-header'],
    // Columns that were asked for by name are never shortened (ux.md §4.1).
    terminalColumns: flags.columns === undefined ? options.terminalColumns : undefined,
    ellipsis: options.ellipsis,
  });
}

/** `list --docker`: one row a tag, one row for an image without tags (spec/imgadm.md §4.3). */
export function drawDockerRows(
  rows: readonly ImageRow[],
  options: {header: boolean; terminalColumns: number | undefined; ellipsis: string},
): string {
  const cells = rows.flatMap((row) => {
    const tags = fieldValue(row, 'docker_tags');
    const shown = Array.isArray(tags) && tags.length > 0 ? tags : [undefined];
    const [uuid, repository, id, created] = ['uuid', 'docker_repo', 'docker_short_id', 'published'].map(
      (field) => cellText(fieldValue(row, field)),
    );
    return shown.map((tag) => [uuid, repository, cellText(tag), id, created].map(String));
  });
  return drawTable({...options, columns: ['uuid', 'repository', 'tag', 'image_id', 'created'], rows: cells});
}

function columnsOf(flags: ListFlagValues, defaultColumns: readonly string[]): readonly string[] {
  return flags.columns === undefined ? defaultColumns : parseFieldList(flags.columns);
}
