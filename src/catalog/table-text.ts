/**
 * Tables made by SQLite in one text, where there would be a row of JavaScript for each of thousands: with objects, `list` of
 * ten thousand takes five starts of the program, like this two. For plain text only, and sorted only by what no rule takes for a
 * number; undefined says that the table has to be drawn row by row, as `cli/table.ts` does, which this must equal to
 * the byte. Few rows are never drawn here: a terminal may want them shortened, and nothing is gained.
 */

import type {SqlValue, Statements} from './statements.ts';
import type {ListedField, RowFilter} from './wanted-rows.ts';

/** How much of a field is shown: of a date without its milliseconds, or the day alone. */
export type TextForm = 'whole' | 'seconds' | 'day';

export interface TextQuestion {
  columns: readonly {head: string; field: ListedField; form: TextForm}[];
  header: boolean;
  sort: readonly {field: ListedField; descending: boolean}[];
  /** Only rows that pass all of them. */
  filters: readonly RowFilter[];
}

/** At most so many rows are drawn one by one. */
export const maxDrawnRows = 500;

/** Where the rows come from, `SELECT` with the listed fields; and how those are ordered that the question takes for equal. */
export interface TextRows {
  select: string;
  values: readonly SqlValue[];
  tail: readonly string[];
  /** More to know of the same moment: names of columns and what stands in them. */
  beside?: Readonly<Record<string, string>>;
}

export type TextAnswer<Beside extends string> = {text: string} & Readonly<Record<Beside, SqlValue>>;

type Facts = {row_count: number; text: string} & Record<`width${number}`, number>;

/** Without a last newline. */
export async function drawText<Beside extends string = never>(
  database: Statements,
  rows: TextRows,
  question: TextQuestion,
): Promise<TextAnswer<Beside> | undefined> {
  const facts = await database.get<Facts & Record<Beside, SqlValue>>(
    textQuery(rows, question),
    ...rows.values,
  );
  if (!facts || !isPlain(facts.text, facts.row_count)) return undefined;
  const text = question.header ? `${headLine(question, facts)}\n${facts.text}` : facts.text;
  return {...facts, text};
}

/**
 * Rows and facts come from one statement and thus from one moment. SQLite keeps the order of rows that it concatenates; an
 * order within the aggregate would make it sort what an index has in order.
 */
function textQuery({select, tail, beside = {}}: TextRows, question: TextQuestion): string {
  const {columns, sort} = question;
  const cells = columns.map(({field, form}) => `coalesce(${shownField(field, form)}, '-')`);
  const last = cells.length - 1;
  const widths = columns.slice(0, last).map(({head, field, form}, index) => {
    // As wide as the dash is the head anyway.
    return `, max(${head.length}, coalesce(max(octet_length(${shownField(field, form)})), 0)) AS width${index}`;
  });
  const padded = cells.map((cell, index) => (index === last ? cell : `width${index}, ${cell}`));
  const line = `format('${'%-*s  '.repeat(last)}%s', ${padded.join(', ')})`;
  const order = [...sort.map(({field, descending}) => `${field}${descending ? ' DESC' : ''}`), ...tail];
  const more = Object.entries(beside).map(([name, value]) => `, (${value}) AS ${name}`);
  return `WITH chosen AS NOT MATERIALIZED (${select}),
    facts AS MATERIALIZED (SELECT count(*) AS row_count${widths.join('')}, max(${oddity(question) || 0}) AS is_odd FROM chosen)
    SELECT *, (SELECT group_concat(${line}, char(10)) FROM (SELECT * FROM chosen ORDER BY ${order.join(', ')})) AS text${more.join('')}
    FROM facts WHERE is_odd IS NOT 1 AND row_count > ${maxDrawnRows}`;
}

function shownField(field: ListedField, form: TextForm): string {
  if (form === 'whole') return field;
  if (form === 'day') return `substr(${field}, 1, 10)`;
  const isCut = `${field} GLOB '*.[0-9][0-9][0-9]Z'`;
  return `CASE WHEN ${isCut} THEN substr(${field}, 1, length(${field}) - 5) || 'Z' ELSE ${field} END`;
}

/** What of a row keeps SQLite from drawing or sorting it as we do, but for what is seen in the text afterwards. */
function oddity({columns, sort}: TextQuestion): string {
  const shown = new Set(columns.map(({field}) => field));
  const sorted = new Set(sort.map(({field}) => field));
  return [
    // For SQLite a NUL ends a text.
    ...[...shown].filter(isFreeText).map((field) => `instr(${field}, char(0))`),
    // By bytes, where we go by units of UTF-16.
    ...[...sorted]
      .filter((field) => !shown.has(field))
      .map((field) => `octet_length(${field}) <> length(${field})`),
    ...[...sorted].filter(isFreeText).map(perhapsNumber),
  ].join(' OR ');
}

/** All but UUIDs, which are checked before they come here. */
function isFreeText(field: ListedField): boolean {
  return field !== 'uuid';
}

/** What turns into a number is compared as one; no text does that begins with a letter, but for one word, or with a year. */
function perhapsNumber(field: ListedField): string {
  if (field === 'published_at') return `${field} NOT GLOB '[0-9][0-9][0-9][0-9]-*'`;
  return `${field} < 'A' OR ${field} >= '{' OR (${field} >= 'Infinity' AND ${field} < 'Infinitz')`;
}

function headLine({columns}: TextQuestion, facts: Facts): string {
  return columns
    .map(({head}, index) => (index === columns.length - 1 ? head : head.padEnd(facts[`width${index}`] ?? 0)))
    .join('  ');
}

/** Nothing that would be escaped, and no more lines than rows. */
function isPlain(text: string, rowCount: number): boolean {
  if (/[^\n\x20-\x7e]/.test(text)) return false;
  let lines = 1;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines += 1;
  return lines === rowCount;
}
