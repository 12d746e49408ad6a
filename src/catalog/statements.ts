/** What the tables of the catalog need of a connection to it. */

export type SqlValue = string | number | null;
export type Row = Record<string, SqlValue>;

export interface Statements {
  readonly path: string;
  run(sql: string, ...values: SqlValue[]): Promise<void>;
  all<T = Row>(sql: string, ...values: SqlValue[]): Promise<T[]>;
  /** Rows as arrays, in the order of the columns; objects of ten thousand rows take twice as long. */
  tuples<T extends SqlValue[]>(sql: string, ...values: SqlValue[]): Promise<T[]>;
  get<T = Row>(sql: string, ...values: SqlValue[]): Promise<T | undefined>;
  /** Runs `work` in one write transaction; rolled back when it rejects. */
  transaction<T>(work: () => Promise<T>): Promise<T>;
  /** The value of a column that holds JSON; `CatalogCorrupt` when it does not. */
  parse(text: string): unknown;
}
