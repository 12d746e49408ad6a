/** What a list needs of the catalog, so that it reads no more: see `migrations/0002-listed-columns.sql`. */

/** Fields of a manifest that stand in columns. */
export const listedFields = ['uuid', 'name', 'version', 'os', 'type', 'published_at'] as const;

export type ListedField = (typeof listedFields)[number];

/** Rows that fail it need not come; that those which come pass it is not promised. */
export interface RowFilter {
  field: ListedField;
  operator: '=' | '!=' | '=~';
  operand: string;
}

/** A row as the manifest of a list: null is what is missing. */
export interface BriefManifest extends Record<ListedField, string | null> {
  uuid: string;
  [field: string]: unknown;
}

export interface WantedRows {
  /** Whether more of the manifests is looked at than `listedFields`. */
  whole: boolean;
  filters: readonly RowFilter[];
  /** Whether they are wanted by date: sorting what is nearly in order is quick. Otherwise they come as the source has them. */
  byDate: boolean;
}

export const everything: WantedRows = {whole: true, filters: [], byDate: false};

export function isListedField(name: string): name is ListedField {
  return (listedFields as readonly string[]).includes(name);
}

/** In SQL, with a place for the operand; what is missing passes none. */
export function rowCondition({field, operator}: RowFilter): string {
  if (operator === '=~') return `instr(${field}, ?) > 0`;
  return `${field} ${operator === '=' ? '=' : '<>'} ?`;
}
