/**
 * The question for the offers of one source. Which index answers it is said, not left to statistics that a catalog which is
 * filled in one go never has: by name or UUID, if one is asked for; by another field, if few have the value; else in
 * the order of the listing or of the dates, from an index that holds all that lists show. SQLite sorts none, but for those of one
 * date.
 */

import type {SqlValue} from './statements.ts';
import {listedFields, type RowFilter, rowCondition, type WantedRows} from './wanted-rows.ts';

export interface Query {
  sql: string;
  values: SqlValue[];
}

export interface OfferQuestion {
  /** Number of the source. */
  listing: number;
  /** Numbers of the sources before it: what they offer too is theirs. */
  earlier: readonly number[];
  wanted: WantedRows;
  /** The filter whose index is used, or the rows that one of them has let through already. */
  by: RowFilter | readonly number[] | undefined;
}

const indexes: Readonly<Partial<Record<RowFilter['field'], string>>> = {
  uuid: 'offers_by_uuid',
  name: 'offers_by_name',
  version: 'offers_by_version',
  os: 'offers_by_os',
  type: 'offers_by_type',
};

/** Above this, going through the listing is quicker than looking up each. */
export const fewRows = 1000;

/** Filters that an index answers; the first ones always do so well. */
export function indexedFilters({filters}: WantedRows): {sure: RowFilter[]; unsure: RowFilter[]} {
  const equal = filters.filter(({field, operator}) => operator === '=' && field in indexes);
  const isSure = ({field}: RowFilter): boolean => field === 'uuid' || field === 'name';
  return {sure: equal.filter(isSure), unsure: equal.filter((filter) => !isSure(filter))};
}

/** Counts what the filter lets through, up to `fewRows`. */
export function countQuery(listing: number, {field, operand}: RowFilter): Query {
  return {
    sql: `SELECT count(*) AS count FROM
      (SELECT 1 FROM offers INDEXED BY ${indexes[field]} WHERE ${field} = ? AND listing = ? LIMIT ${fewRows})`,
    values: [operand, listing],
  };
}

/** A filter for a part of the name, which an index of names answers without reading all that lists show. */
export function partialFilter({filters}: WantedRows): RowFilter | undefined {
  return filters.find(({field, operator}) => field === 'name' && operator === '=~');
}

/** Numbers of the rows that it lets through, up to `fewRows`; those of other sources are told apart last, being few. */
export function partialQuery(listing: number, {operand}: RowFilter): Query {
  return {
    sql: `SELECT rowid AS number FROM offers INDEXED BY offers_by_name
      WHERE instr(name, ?) > 0 AND +listing = ? LIMIT ${fewRows}`,
    values: [operand, listing],
  };
}

/** Rows with `position` and either `manifest` or the listed fields, in order unless it goes `by` a filter. */
export function offerQuery({listing, earlier, wanted, by}: OfferQuestion): Query {
  const columns = wanted.whole ? ['position', 'manifest'] : ['position', ...listedFields];
  const {conditions, values} = offerConditions({listing, earlier, filters: wanted.filters});
  if (isNumbers(by)) {
    const chosen = 'offers.rowid IN (SELECT value FROM json_each(?))';
    return {
      sql: `SELECT ${columns.join(', ')} FROM offers NOT INDEXED WHERE ${conditions} AND ${chosen}`,
      values: [...values, JSON.stringify(by)],
    };
  }
  const all = wanted.byDate ? 'offers_by_date' : 'offers_in_order';
  const index = by ? indexes[by.field] : all;
  return {
    sql: `SELECT ${columns.join(', ')} FROM offers INDEXED BY ${index}
      WHERE ${conditions}${by ? '' : ` ORDER BY ${wanted.byDate ? 'published_at, position' : 'position'}`}`,
    values,
  };
}

function isNumbers(by: OfferQuestion['by']): by is readonly number[] {
  return Array.isArray(by);
}

function offerConditions({
  listing,
  earlier,
  filters,
}: Pick<OfferQuestion, 'listing' | 'earlier'> & Pick<WantedRows, 'filters'>): {
  conditions: string;
  values: SqlValue[];
} {
  const conditions = ['offers.listing = ?', ...filters.map(rowCondition)];
  const values: SqlValue[] = [listing, ...filters.map(({operand}) => operand)];
  if (earlier.length > 0) {
    const places = earlier.map(() => '?').join(', ');
    conditions.push(
      `NOT EXISTS (SELECT 1 FROM offers AS first WHERE first.uuid = offers.uuid AND first.listing IN (${places}))`,
    );
    values.push(...earlier);
  }
  return {conditions: conditions.join(' AND '), values};
}

/** The listed fields of all that the sources offer, each with the rank of its source and its position there. */
export function offersToDraw(listings: readonly number[], filters: readonly RowFilter[]): Query {
  const values: SqlValue[] = [];
  const parts = listings.map((listing, rank) => {
    const chosen = offerConditions({listing, earlier: listings.slice(0, rank), filters});
    values.push(...chosen.values);
    return `SELECT ${rank} AS rank, position, ${listedFields.join(', ')}
      FROM offers INDEXED BY offers_by_date WHERE ${chosen.conditions}`;
  });
  return {sql: parts.join(' UNION ALL '), values};
}
