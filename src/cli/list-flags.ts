/** What the listing commands of the imgadm family share: columns, sort, filters and drawing (spec/imgadm.md §3, §4). */

import type {TextForm, TextQuestion} from '../catalog/table-text.ts';
import {isListedField, type WantedRows} from '../catalog/wanted-rows.ts';
import {
  checkField,
  fieldReader,
  fieldValue,
  type ImageRow,
  knownFields,
  manifestFieldsOf,
  parseFieldList,
} from '../manifest/fields.ts';
import {parseFilter} from '../manifest/filter.ts';
import {formatSize} from '../manifest/size-text.ts';
import {parseSort, sortRows} from '../manifest/sort.ts';
import type {FlagTable} from './flags.ts';
import {relativeTime} from './relative-time.ts';
import {cellText, columnTexts, drawColumns, drawTable, type TableLook} from './table.ts';

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
  wide: {kind: 'boolean', summary: 'never shorten a cell, on a terminal either'},
} as const satisfies FlagTable;

/** What `list` and `avail` take besides. */
export const longListFlags = {
  ...listFlags,
  long: {kind: 'boolean', summary: 'more columns: type, arch, size, source, state and used'},
  relative: {kind: 'boolean', summary: 'times as distances from now: "3 days ago"'},
} as const satisfies FlagTable;

export interface ListFlagValues {
  'no-header': boolean;
  columns: string | undefined;
  sort: string | undefined;
  wide: boolean;
  long?: boolean;
  relative?: boolean;
}

/** Order of the columns that --long adds. */
const longColumns = ['type', 'arch', 'size', 'source', 'state', 'used'];

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
    byDate: sort[0] === 'published_at',
    filters: filters.flatMap(({path, operator, operand}) => {
      // true and false stand for more than a text.
      if (!isListedField(path) || operator === '>=' || operand === 'true' || operand === 'false') return [];
      return [{field: path, operator, operand}];
    }),
  };
}

/**
 * The same as a table that the catalog may be able to draw; undefined for what it does not know how to. Flags must have been
 * checked.
 */
export function textQuestion(
  flags: ListFlagValues & {json: boolean},
  args: readonly string[],
  defaultColumns: readonly string[],
): TextQuestion | undefined {
  const {whole, filters} = wantedRows(flags, args, defaultColumns);
  const columns = columnsOf(flags, defaultColumns).map((column) => {
    const [field] = manifestFieldsOf(column) ?? [];
    const form = textForms[column] ?? 'whole';
    return field !== undefined && isListedField(field)
      ? {head: column.toUpperCase(), field, form}
      : undefined;
  });
  const sort = parseSort(flags.sort ?? defaultSort).map(({path, descending}) =>
    isListedField(path) ? {field: path, descending} : undefined,
  );
  const isKnown = filters.length === args.length && !columns.includes(undefined) && !sort.includes(undefined);
  if (whole || flags.relative || !isKnown) return undefined;
  const known = {
    columns: columns.filter((column) => column !== undefined),
    sort: sort.filter((key) => key !== undefined),
  };
  return {...known, header: !flags['no-header'], filters};
}

/** Of computed fields. */
const textForms: Readonly<Record<string, TextForm>> = {
  published: 'seconds',
  published_date: 'day',
  pub: 'day',
};

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
  {defaultColumns, look}: {defaultColumns: readonly string[]; look: TableLook},
): string {
  const columns = columnsOf(flags, defaultColumns);
  const texts = columns.map((column) => {
    const read = fieldReader(column);
    const shown = textOf(column, flags);
    return columnTexts(rows.map((row) => shown(read(row))));
  });
  return drawColumns({
    columns,
    texts,
    header: !flags['no-header'],
    ...look,
    // Columns that were asked for by name are never shortened (ux.md §4.1).
    terminalColumns: flags.columns === undefined && !flags.wide ? look.terminalColumns : undefined,
  });
}

/** How values of the column are written: as they are, as in imgadm, unless an option of ours asks for words. */
function textOf(column: string, {columns, long, relative}: ListFlagValues): (value: unknown) => unknown {
  if (long && columns === undefined && column === 'size')
    return (value) => (typeof value === 'number' ? formatSize(value) : value);
  if (!relative || checkField(column).kind !== 'date') return (value) => value;
  const nowMs = Date.now();
  return (value) => (typeof value === 'string' ? relativeTime(value, nowMs) : value);
}

/** `list --docker`: one row a tag, one row for an image without tags (spec/imgadm.md §4.3). */
export function drawDockerRows(rows: readonly ImageRow[], options: {header: boolean} & TableLook): string {
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
  if (flags.columns !== undefined) return parseFieldList(flags.columns);
  return flags.long ? [...defaultColumns, ...longColumns] : defaultColumns;
}
