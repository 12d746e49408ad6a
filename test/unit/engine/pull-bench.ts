/** An embedded engine with a store and a server of its own for tests of pulls. */
import {createHash} from 'node:crypto';
import {existsSync, mkdirSync, mkdtempSync, readdirSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {DownloadCache} from '../../../src/downloads/download-cache.ts';
import {EmbeddedEngine} from '../../../src/engine/embedded/embedded-engine.ts';
import type {
  ImageStore,
  PullRequest,
  StoredImage,
  Transfer,
  TransferResult,
} from '../../../src/engine/engine.ts';
import {HttpClient} from '../../../src/http/http-client.ts';
import {removeTree} from '../../../src/sys/remove-tree.ts';
import {type ServedFiles, serveFiles} from '../../served-files.ts';

export interface BenchOptions {
  keyringFiles?: string[];
  /** For every URL. */
  onlyKeyring?: string;
  maxImageBytes?: number;
  maxUnpackedBytes?: number;
  retries?: number;
  imageClass?: ImageStore['imageClass'];
}

export class PullBench {
  readonly server: ServedFiles;
  readonly directory: string;
  readonly store: ImageStore;
  readonly lines: string[] = [];
  readonly #http = new HttpClient({userAgent: 'test', retries: {count: 0}});
  readonly #engine: EmbeddedEngine;
  readonly #downloads: DownloadCache;

  private constructor(server: ServedFiles, options: BenchOptions) {
    this.server = server;
    this.directory = mkdtempSync(path.join(tmpdir(), 'imgctl-pull-'));
    this.store = {
      imageClass: options.imageClass ?? 'machine',
      directory: path.join(this.directory, 'machines'),
    };
    mkdirSync(this.store.directory);
    this.#downloads = new DownloadCache({
      directory: path.join(this.directory, 'cache'),
      maxBytes: 1 << 30,
      retries: options.retries ?? 0,
      retryDelayMs: 1,
    });
    this.#engine = new EmbeddedEngine({
      runtimeDirectory: path.join(this.directory, 'run'),
      sandbox: 'off',
      limits: options.maxUnpackedBytes === undefined ? {} : {maxOutputBytes: options.maxUnpackedBytes},
      pull: {
        http: async () => this.#http,
        downloads: async () => this.#downloads,
        keyringFiles: options.keyringFiles ?? [],
        signedListsDirectory: path.join(this.directory, 'signed'),
        keyringFor: async () => options.onlyKeyring,
        ...(options.maxImageBytes === undefined ? {} : {maxImageBytes: options.maxImageBytes}),
      },
    });
  }

  static async open(files: Record<string, Buffer | string>, options: BenchOptions = {}): Promise<PullBench> {
    return new PullBench(await serveFiles(files), options);
  }

  async start(urlPath: string, options: Partial<PullRequest> = {}): Promise<Transfer> {
    this.lines.length = 0;
    const transfer = await this.#engine.pull({
      format: 'raw',
      store: this.store,
      url: urlPath.startsWith('/') ? `${this.server.url}${urlPath}` : urlPath,
      localName: 'one',
      verify: 'no',
      ...options,
    });
    transfer.onLog((_level, line) => this.lines.push(line));
    return transfer;
  }

  async pull(urlPath: string, options: Partial<PullRequest> = {}): Promise<TransferResult> {
    return await (await this.start(urlPath, options)).finished;
  }

  /** With details. */
  list(): Promise<StoredImage[]> {
    return this.#engine.listImages(this.store, {withHidden: true});
  }

  /** Names in the store; download copies by their beginning. */
  names(): string[] {
    return readdirSync(this.store.directory)
      .map((name) => name.replace(/^(\.(?:raw|tar)-).*?((?:\.nspawn|\.roothash|\.raw)?)$/, '$1$2'))
      .sort();
  }

  place(name: string): string {
    return path.join(this.store.directory, name);
  }

  /** Full path of the only download copy. */
  copy(): string {
    const copies = readdirSync(this.store.directory).filter((name) => /^\.(raw|tar)-/.test(name));
    if (copies.length !== 1) throw new Error(`there are ${copies.length} download copies`);
    return this.place(copies[0] ?? '');
  }

  cached(): string[] {
    const directory = path.join(this.directory, 'cache/downloads');
    return existsSync(directory) ? readdirSync(directory).sort() : [];
  }

  /** Reasons why files are in quarantine. */
  async quarantined(): Promise<string[]> {
    return (await this.#downloads.quarantine.list()).map(({reason}) => reason);
  }

  statuses(urlPath: string): number[] {
    return this.server.seen.filter(({path: seen}) => seen === urlPath).map(({status}) => status);
  }

  async close(): Promise<void> {
    await this.server.close();
    this.#http.close();
    await removeTree(this.directory);
  }
}

export function sha256(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}
