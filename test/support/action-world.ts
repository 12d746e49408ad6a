/** A root with real parts for actions: catalog, records, cache, engine and locks below one directory. */
import {mkdtempSync, readdirSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {pack} from 'tar-stream';
import type {ActionContext, Pool, Reporter} from '../../src/actions/context.ts';
import {type Catalog, openCatalog} from '../../src/catalog/catalog.ts';
import {RecordStore} from '../../src/catalog/records.ts';
import {lockService} from '../../src/cli/locks.ts';
import {EmbeddedEngine} from '../../src/engine/embedded/embedded-engine.ts';
import type {HttpClient} from '../../src/http/http-client.ts';
import {openSource} from '../../src/sources/index.ts';
import type {VerifiedSource} from '../../src/sources/source.ts';
import {removeTree} from '../../src/sys/remove-tree.ts';
import {migrationsDirectory} from './catalogs.ts';
import {openCache, openHttp} from './fetches.ts';

export class ActionWorld {
  readonly directory = mkdtempSync(path.join(tmpdir(), 'imgctl-actions-'));
  readonly http: HttpClient = openHttp();
  readonly lines: string[] = [];
  readonly warnings: string[] = [];
  readonly pools: Pool[] = (['machine', 'portable'] as const).map((imageClass) => {
    return {name: imageClass, store: {imageClass, directory: path.join(this.directory, imageClass)}};
  });
  readonly #catalogs: Catalog[] = [];

  get catalogFile(): string {
    return path.join(this.directory, 'catalog.db');
  }

  /** As a new process would build it. */
  async context(urls: readonly string[] = [], changes: Partial<ActionContext> = {}): Promise<ActionContext> {
    const catalog = await openCatalog(this.catalogFile, migrationsDirectory);
    this.#catalogs.push(catalog);
    const downloads = openCache(path.join(this.directory, 'cache'), {retries: 0});
    return {
      catalog,
      records: new RecordStore(path.join(this.directory, 'records')),
      sources: urls.map((url) => this.source(url)),
      downloads,
      limits: {},
      offline: false,
      engine: new EmbeddedEngine({runtimeDirectory: path.join(this.directory, 'run'), sandbox: 'off'}),
      pools: this.pools,
      locks: lockService(path.join(this.directory, 'run/locks')),
      report: this.#reporter(),
      signal: new AbortController().signal,
      now: () => new Date('2026-02-03T04:05:06Z'),
      program: 'imgctl',
      ...changes,
    };
  }

  source(url: string): VerifiedSource {
    const cache = openCache(path.join(this.directory, 'cache'), {retries: 0});
    return openSource({url, type: 'imgapi'}, {http: this.http, cache});
  }

  /** What stands in a pool's directory, hidden things too. */
  stored(pool = 'machine'): string[] {
    return namesIn(path.join(this.directory, pool));
  }

  recordNames(): string[] {
    return namesIn(path.join(this.directory, 'records'));
  }

  async end(): Promise<void> {
    for (const catalog of this.#catalogs) await catalog.close();
    this.http.close();
    await removeTree(this.directory);
  }

  #reporter(): Reporter {
    return {
      step: (line) => void this.lines.push(line),
      transferStep: (line) => void this.lines.push(line),
      notice: (line) => void this.lines.push(line),
      warn: (line) => void this.warnings.push(line),
      failure: (error) => void this.warnings.push(error.message),
      expect: () => undefined,
      progress: () => undefined,
      retry: () => undefined,
      progressEnd: () => undefined,
    };
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}

/** A tar archive with one file that says who it is. */
export async function tarOf(name: string): Promise<Buffer> {
  const archive = pack();
  archive.entry({name: 'etc/', type: 'directory', mode: 0o755});
  archive.entry({name: 'etc/name', mode: 0o644}, `${name}\n`);
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
