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

export interface WantedRows {
  /** Whether more of the manifests is looked at than `listedFields`. */
  whole: boolean;
  filters: readonly RowFilter[];
}

export const everything: WantedRows = {whole: true, filters: []};

/** The manifest as far as the columns know it. */
export function briefManifest(row: Readonly<Record<ListedField, unknown>>): {uuid: string} {
  const {uuid, name, version, os, type, published_at} = row;
  const manifest = {uuid: String(uuid), name, version, os, type};
  return published_at === null ? manifest : Object.assign(manifest, {published_at});
}

export function isListedField(name: string): name is ListedField {
  return (listedFields as readonly string[]).includes(name);
}
