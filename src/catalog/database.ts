/**
 * One SQLite connection with promises. Writers use `transaction`, also for one statement, so that none falls into
 * the transaction of another. It begins IMMEDIATE: a deferred one that reads first fails with SQLITE_BUSY under a
 * second writer in spite of the time-out (spec/dependencies.md).
 */

import {setTimeout as sleep} from 'node:timers/promises';
import type sqlite3 from 'sqlite3';
import {ImgctlError} from '../errors.ts';
import {damaged, parseColumn} from './damage.ts';
import type {Row, SqlValue, Statements} from './statements.ts';

const busyTimeoutMs = 5000;

export class Database implements Statements {
  readonly path: string;
  readonly #connection: sqlite3.Database;
  /** Ends when the last transaction asked for has ended. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(path: string, connection: sqlite3.Database) {
    this.path = path;
    this.#connection = connection;
  }

  /** Opens or makes the file. `CatalogCorrupt` when it is no database. The caller closes. */
  static async open(path: string): Promise<Database> {
    // Loaded here: many commands open no catalog, and it costs as much as a third of an empty Node start.
    const {default: library} = await import('sqlite3');
    const connection = await new Promise<sqlite3.Database>((resolve, reject) => {
      const opened = new library.Database(path, library.OPEN_READWRITE | library.OPEN_CREATE, (error) => {
        if (error) reject(asCatalogError(error, path));
        else resolve(opened);
      });
    });
    const database = new Database(path, connection);
    try {
      connection.configure('busyTimeout', busyTimeoutMs);
      await database.#useLog();
      await database.exec('PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON');
    } catch (error) {
      await database.close();
      throw error;
    }
    return database;
  }

  /**
   * Two processes that make a new file at once stand in each other's way when they turn its log on: SQLite then refuses
   * without waiting, because one of them has to let go. Asked again, the other one has done it.
   */
  async #useLog(): Promise<void> {
    const deadline = performance.now() + busyTimeoutMs;
    for (let waitMs = 1; ; waitMs = Math.min(waitMs * 2, 50)) {
      try {
        return await this.exec('PRAGMA journal_mode = WAL');
      } catch (error) {
        const isBusy = error instanceof ImgctlError && error.code === 'LockTimeout';
        if (!isBusy || performance.now() > deadline) throw error;
      }
      await sleep(waitMs * (0.5 + Math.random()));
    }
  }

  exec(sql: string): Promise<void> {
    return this.#promise((done) => this.#connection.exec(sql, done));
  }

  run(sql: string, ...values: SqlValue[]): Promise<void> {
    return this.#promise((done) => this.#connection.run(sql, values, done));
  }

  all<T = Row>(sql: string, ...values: SqlValue[]): Promise<T[]> {
    return this.#promise((done) =>
      this.#connection.all(sql, values, done as (error: Error | null, rows: unknown[]) => void),
    );
  }

  async tuples<T extends SqlValue[]>(sql: string, ...values: SqlValue[]): Promise<T[]> {
    return (await this.all(sql, ...values)).map((row) => Object.values(row) as T);
  }

  async get<T = Row>(sql: string, ...values: SqlValue[]): Promise<T | undefined> {
    return (await this.all<T>(sql, ...values))[0];
  }

  /** Runs `work` in one write transaction; rolled back when it rejects. Those of one process take turns. */
  transaction<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(() => this.#transact(work));
    this.#turn = result.catch(() => undefined);
    return result;
  }

  /** Reads every page; `CatalogCorrupt` naming the first fault. */
  async check(): Promise<void> {
    const fault = await this.get<{quick_check: string}>('PRAGMA quick_check(1)');
    if (fault && fault.quick_check !== 'ok') throw damaged(this.path, new Error(fault.quick_check));
  }

  parse(text: string): unknown {
    return parseColumn(this.path, text);
  }

  async #transact<T>(work: () => Promise<T>): Promise<T> {
    await this.exec('BEGIN IMMEDIATE');
    try {
      const result = await work();
      await this.exec('COMMIT');
      return result;
    } catch (error) {
      // A failed COMMIT or a full disk may have ended the transaction already.
      await this.exec('ROLLBACK').catch(() => undefined);
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#promise((done) => this.#connection.close(done));
  }

  #promise<T>(call: (done: (error: Error | null, result?: T) => void) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      call((error, result) => {
        if (error) reject(asCatalogError(error, this.path));
        else resolve(result as T);
      });
    });
  }
}

function asCatalogError(error: Error, path: string): ImgctlError {
  const code = (error as {code?: string}).code ?? '';
  if (code === 'SQLITE_CORRUPT' || code === 'SQLITE_NOTADB') return damaged(path, error);
  if (code === 'SQLITE_FULL') {
    return new ImgctlError('NoSpace', `cannot write catalog "${path}": the disk is full`, {
      cause: error,
      retryable: true,
    });
  }
  if (code === 'SQLITE_BUSY') {
    return new ImgctlError('LockTimeout', `catalog "${path}" is in use by another process`, {
      cause: error,
      retryable: true,
    });
  }
  return new ImgctlError('FileSystem', `cannot use catalog "${path}": ${error.message}`, {cause: error});
}
