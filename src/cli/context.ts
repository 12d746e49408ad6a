/**
 * Wires everything once per invocation. Parts are opened when first asked for, so that a command pays only for what
 * it uses: `sources` opens no catalog, `list` loads no HTTP code. Close it at the end.
 */

import path from 'node:path';
import type {ActionContext, LockService, Pool} from '../actions/context.ts';
import type {DoctorContext} from '../actions/doctor.ts';
import type {EditorOutcome} from '../actions/edit-sources.ts';
import {PullNotes} from '../actions/pull-notes.ts';
import type {SourceSettingsStore, SourcesContext} from '../actions/sources.ts';
import {type Catalog, moveCatalogAway, openCatalog} from '../catalog/catalog.ts';
import {RecordStore} from '../catalog/records.ts';
import type {BusEngine} from '../dbus/client/bus-engine.ts';
import type {DownloadCache} from '../downloads/download-cache.ts';
import type {Engine} from '../engine/engine.ts';
import {ImgctlError} from '../errors.ts';
import type {HttpClient} from '../http/http-client.ts';
import type {Authentication} from '../imgapi/authentication.ts';
import type {ImgapiClient} from '../imgapi/imgapi-client.ts';
import type {ImgapiLimits} from '../imgapi/limits.ts';
import {classDirectoryNames, type ImageClass, imageClasses} from '../import1/image-class.ts';
import type {SourceSettings, VerifiedSource} from '../sources/source.ts';
import {openCatalogOrStandIn} from './catalog-file.ts';
import {type Configuration, defaultSource, readConfiguration, writeConfiguration} from './config.ts';
import {CosmicRays} from './cosmic-rays.ts';
import {parseDuration} from './durations.ts';
import {chooseEngine} from './engine-choice.ts';
import {type Environment, isYes} from './environment.ts';
import type {GlobalFlags} from './flags.ts';
import type {Log} from './log.ts';
import {notingEngine} from './noting-engine.ts';
import type {Output} from './output.ts';
import {packageRoot} from './package-root.ts';
import {keyringFiles, type Scope, type StatePaths, statePaths} from './paths.ts';
import {Progress} from './progress.ts';

/** Name the program was started under. */
export type ProgramName = 'imgctl' | 'imgadm' | 'importctl';

/** The general flags, and the scope that the importctl family knows. */
export type ContextFlags = Partial<GlobalFlags> & {scope?: Scope};

/** Those that say where state lies and how the network is used. */
export type PlaceFlags = Pick<
  ContextFlags,
  'root' | 'config' | 'engine' | 'offline' | 'retries' | 'timeout' | 'scope'
>;

export interface ContextOptions {
  program: ProgramName;
  environment: Environment;
  flags: ContextFlags;
  output: Output;
  signal: AbortSignal;
  log: Log;
}

/** Which sources a command asks, when not those that are configured, as they are configured. */
export interface SourceSelection {
  /** URLs of IMGAPI servers, instead of the configured ones. */
  urls?: readonly string[];
  /** For all of them, over any in their URLs. */
  channel?: string | undefined;
}

const defaultCacheBytes = 5 * 2 ** 30;
const defaultRetries = 4;
const defaultStallMs = 30_000;

export class CommandContext {
  readonly program: ProgramName;
  readonly environment: Environment;
  readonly output: Output;
  readonly signal: AbortSignal;
  readonly progress: Progress;
  readonly log: Log;
  readonly paths: StatePaths;
  /** See `failLater`. */
  failure: ImgctlError | undefined;
  readonly #flags: ContextFlags;
  readonly #root: string | undefined;
  #configuration: Promise<Configuration> | undefined;
  #catalog: Promise<Catalog> | undefined;
  #cosmicRays: CosmicRays | undefined;
  #busEngine: Promise<BusEngine> | undefined;

  constructor(options: ContextOptions) {
    this.program = options.program;
    this.environment = options.environment;
    this.output = options.output;
    this.signal = options.signal;
    this.log = options.log;
    this.#flags = options.flags;
    const {env, uid, homeDirectory} = options.environment;
    this.#root = (options.flags.root ?? env.IMGCTL_ROOT) || undefined;
    this.paths = statePaths({env, uid, homeDirectory, root: this.#root, scope: options.flags.scope});
    this.progress = new Progress(options.output, {
      mode: options.flags.quiet ? 'none' : (options.flags.progress ?? env.IMGCTL_PROGRESS ?? 'auto'),
      env,
    });
  }

  /** An answer that is complete but for what failed: it is printed first, then this error ends the command. */
  failLater(error: ImgctlError | undefined): void {
    this.failure = error;
  }

  /** Columns of the terminal on stdout; undefined when it is none. */
  get terminalColumns(): number | undefined {
    return this.environment.stdout.isTTY ? this.environment.stdout.columns : undefined;
  }

  /** What stands for text that is left out where the terminal or its locale may not know more than ASCII. */
  get ellipsis(): string {
    const {env} = this.environment;
    const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || '';
    const isPlain = env.TERM === 'dumb' || isYes(env.IMGCTL_ASCII) || !/utf-?8/i.test(locale);
    return isPlain ? '...' : '…';
  }

  /** `--offline`, or the environment says anything but no. */
  get offline(): boolean {
    return this.#flags.offline === true || isYes(this.environment.env.IMGCTL_OFFLINE);
  }

  configuration(): Promise<Configuration> {
    this.#configuration ??= readConfiguration(this.#configFile());
    return this.#configuration;
  }

  #configFile(): string {
    return this.#flags.config ?? this.environment.env.IMGCTL_CONFIG ?? this.paths.configFile;
  }

  catalog(): Promise<Catalog> {
    this.#catalog ??= openCatalogOrStandIn(this.paths.catalogFile, migrationsDirectory(), (text) =>
      this.output.warn(text),
    );
    return this.#catalog;
  }

  async doctor(): Promise<DoctorContext> {
    const [engine, pools] = await Promise.all([this.engine(), this.pools()]);
    return {
      engine,
      pools,
      records: this.records(),
      checkHost: async () => (await import('./host-checks.ts')).checkHost(engine, pools),
      openCatalog: () => this.#openCatalog(),
      replaceCatalog: async () => {
        await this.#catalog?.then((catalog) => catalog.close()).catch(() => undefined);
        await moveCatalogAway(this.paths.catalogFile);
        return this.#openCatalog();
      },
    };
  }

  /** The file itself or an error, for who looks whether all is well with it. */
  #openCatalog(): Promise<Catalog> {
    this.#catalog = openCatalog(this.paths.catalogFile, migrationsDirectory());
    return this.#catalog;
  }

  records(): RecordStore {
    return new RecordStore(this.paths.recordsDirectory);
  }

  /** The default pool first, then the other classes, then the configured ones (design.md §5). */
  async pools(): Promise<Pool[]> {
    const configuration = await this.configuration();
    const builtIn = imageClasses.map((imageClass: ImageClass): Pool => {
      return {name: imageClass, store: {imageClass, directory: this.imageDirectory(imageClass)}};
    });
    const configured = Object.entries(configuration.pools ?? {}).map(([name, pool]): Pool => {
      return {name, store: {imageClass: pool.class, directory: pool.directory}};
    });
    // Services know the directories of the classes only.
    return [...builtIn, ...(this.engineName === 'dbus' ? [] : configured)];
  }

  /** For a process that is to work with the same. */
  placeFlags(): PlaceFlags {
    const names = ['root', 'config', 'engine', 'offline', 'retries', 'timeout', 'scope'] as const;
    const entries = names.map((name) => [name, this.#flags[name]] as const);
    return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
  }

  get engineName(): Engine['name'] {
    return chooseEngine({
      wanted: this.#flags.engine ?? (this.environment.env.IMGCTL_ENGINE || undefined),
      root: this.#root,
      directory: this.paths.imageDirectory('machine'),
    });
  }

  /** Where the engine keeps images of a class. */
  imageDirectory(imageClass: ImageClass): string {
    if (this.engineName === 'embedded') return this.paths.imageDirectory(imageClass);
    // The service of a user keeps all classes in one place (design.md §4).
    if (this.#flags.scope === 'user') return this.paths.imageDirectory('machine');
    return path.join('/var/lib', classDirectoryNames[imageClass]);
  }

  async engine(): Promise<Engine> {
    const isEmbedded = this.engineName === 'embedded';
    return this.#noting(await (isEmbedded ? this.#openEmbedded() : this.#openBusEngine()));
  }

  async #openEmbedded(): Promise<Engine> {
    const {EmbeddedEngine} = await import('../engine/embedded/embedded-engine.ts');
    return new EmbeddedEngine({
      runtimeDirectory: this.paths.runtimeDirectory,
      pull: {
        http: () => this.http({isPull: true}),
        downloads: () => this.downloads(),
        keyringFiles: keyringFiles(this.environment.env, this.#root),
      },
    });
  }

  #openBusEngine(): Promise<BusEngine> {
    this.#busEngine ??= (async () => {
      const {openBusEngine} = await import('./bus-engine.ts');
      return openBusEngine({
        environment: this.environment,
        scope: this.#flags.scope ?? 'system',
        classDirectory: (imageClass) => this.imageDirectory(imageClass),
        scratchDirectory: path.join(this.paths.cacheDirectory, 'handover'),
      });
    })();
    return this.#busEngine;
  }

  #noting<Inner extends Engine>(engine: Inner): Inner {
    return notingEngine(engine, {
      bootNotes: this.bootNotes(),
      lastNotes: this.pullNotes(),
      now: () => new Date(),
      warn: (text) => this.output.warn(text),
    });
  }

  /** Notes of pulls of this boot, good and bad. */
  bootNotes(): PullNotes {
    return new PullNotes(path.join(this.paths.runtimeDirectory, 'pulls'));
  }

  /** Notes of what was last put in place. */
  pullNotes(): PullNotes {
    return new PullNotes(this.paths.pullNotesDirectory);
  }

  async http(settings: Pick<SourceSettings, 'insecure'> & {isPull?: boolean} = {}): Promise<HttpClient> {
    const [{HttpClient: Client}, {httpSettings}] = await Promise.all([
      import('../http/http-client.ts'),
      import('./http-settings.ts'),
    ]);
    const {limits = {}, userAgentExtra} = await this.configuration();
    return new Client(
      httpSettings({
        env: this.offline ? {...this.environment.env, IMGCTL_OFFLINE: '1'} : this.environment.env,
        log: this.log,
        insecure: settings.insecure,
        isPull: settings.isPull === true,
        userAgentExtra,
        retries: this.retries,
        limits: defined({redirects: limits.redirects, headerBytes: limits.headerBytes}),
        stallTimeoutMs:
          this.#flags.timeout === undefined ? defaultStallMs : parseDuration(this.#flags.timeout),
      }),
    );
  }

  /** How often what failed for a passing reason is tried again. */
  get retries(): number {
    return this.#flags.retries === undefined ? defaultRetries : parseCount(this.#flags.retries, '--retries');
  }

  async downloads(): Promise<DownloadCache> {
    const {DownloadCache: Cache} = await import('../downloads/download-cache.ts');
    const configuration = await this.configuration();
    return new Cache({
      directory: this.paths.cacheDirectory,
      maxBytes: configuration.limits?.cacheBytes ?? defaultCacheBytes,
      retries: this.retries,
      retryDelayMs: 1000,
    });
  }

  async sourceSettings(): Promise<SourceSettings[]> {
    return (await this.configuration()).sources ?? [defaultSource];
  }

  async openSource(settings: SourceSettings): Promise<VerifiedSource> {
    const {openSource} = await import('../sources/index.ts');
    const limits = await this.#imgapiLimits();
    const source = openSource(settings, {
      http: await this.http(settings),
      cache: await this.downloads(),
      limits,
      authentication: await this.#authentication(settings),
    });
    this.#cosmicRays ??= new CosmicRays(this.environment.env);
    return this.#cosmicRays.over(source);
  }

  /** A client that may write. A configured source is found by its URL or name, and its settings hold. */
  async imgapi(text: string, channel?: string): Promise<ImgapiClient> {
    const {ImgapiClient: Client} = await import('../imgapi/imgapi-client.ts');
    const settings = await this.#writable(text);
    const wanted = channel ?? settings.channel;
    return new Client(await this.http(settings), settings.url, {
      limits: await this.#imgapiLimits(),
      authentication: await this.#authentication(settings),
      ...(wanted !== undefined && {channel: wanted}),
    });
  }

  /** The URL of the server that the text is the URL or the source's name of. */
  async serverUrl(text: string): Promise<string> {
    return (await this.#writable(text)).url;
  }

  /** Channels do not count: a server has the same users for all of them. A URL as typed keeps its own channel. */
  async #writable(text: string): Promise<SourceSettings> {
    const {parseSourceUrl} = await import('../imgapi/source-url.ts');
    const sources = (await this.sourceSettings()).filter(({type}) => type === 'imgapi');
    const named = sources.find(({name}) => name === text && this.program === 'imgctl');
    if (named) return named;
    const {base} = parseSourceUrl(text);
    const same = sources.find(({url}) => parseSourceUrl(url).base === base);
    const {insecure, auth} = same ?? {};
    return {url: text, type: 'imgapi', ...(insecure && {insecure}), ...(auth && {auth})};
  }

  async #authentication({auth}: SourceSettings): Promise<Authentication | undefined> {
    if (auth === undefined) return undefined;
    const {openAuthentication} = await import('./source-auth.ts');
    const warn = (text: string): void => this.output.warn(text);
    return openAuthentication(auth, {env: this.environment.env, warn});
  }

  async #imgapiLimits(): Promise<Partial<ImgapiLimits>> {
    const {listingBytes, documentBytes, listingImages} = (await this.configuration()).limits ?? {};
    return defined({listingBytes, documentBytes, images: listingImages});
  }

  /** What an action needs to read what is installed; loads no network code. */
  async installed(): Promise<Pick<ActionContext, 'catalog' | 'records' | 'engine' | 'pools' | 'program'>> {
    const [catalog, engine, pools] = await Promise.all([this.catalog(), this.engine(), this.pools()]);
    return {catalog, engine, pools, records: this.records(), program: this.program};
  }

  async action(selection: SourceSelection = {}): Promise<ActionContext> {
    const {urls = [], channel} = selection;
    const chosen = urls.map((url): SourceSettings => ({url, type: 'imgapi'}));
    const settings = chosen.length > 0 ? chosen : await this.sourceSettings();
    const sources = await Promise.all(
      settings.map((source) => this.openSource(channel === undefined ? source : {...source, channel})),
    );
    const configuration = await this.configuration();
    return {
      ...(await this.installed()),
      sources,
      downloads: await this.downloads(),
      limits: configuration.limits ?? {},
      platform: configuration.platform,
      locks: await this.locks(),
      report: this.reporter(),
      signal: this.signal,
      offline: this.offline,
      now: () => new Date(),
    };
  }

  reporter(): ActionContext['report'] {
    return {
      step: (line) => this.output.step(line),
      transferStep: (line) => this.output.step(line, {onStderr: this.progress.isBar}),
      notice: (line) => this.output.notice(line),
      warn: (text) => this.output.warn(text),
      progress: (update) => this.progress.update(update),
      progressEnd: (uuid) => this.progress.end(uuid),
    };
  }

  async locks(): Promise<LockService> {
    const {lockService} = await import('./locks.ts');
    return lockService(path.join(this.paths.runtimeDirectory, 'locks'));
  }

  async sourcesContext(): Promise<SourcesContext> {
    return {
      store: {
        read: () => this.sourceSettings(),
        change: async (edit) => {
          const locks = await this.locks();
          const onWait = (): void =>
            this.output.notice('Waiting for another process to change the configuration');
          const lock = await locks.acquire('configuration', {signal: this.signal, onWait});
          return this.#changeSources(edit).finally(() => lock.release());
        },
      },
      open: (settings) => this.openSource(settings),
      report: this.reporter(),
      signal: this.signal,
    };
  }

  /** On the file as it is now: another process may have changed it since this one read it. */
  async #changeSources(edit: Parameters<SourceSettingsStore['change']>[0]): Promise<SourceSettings[]> {
    const configuration = await readConfiguration(this.#configFile());
    const current = configuration.sources ?? [defaultSource];
    const sources = edit(current, configuration.sources === undefined);
    if (sources === current) return current;
    const changed = {...configuration, sources};
    await writeConfiguration(this.#configFile(), changed);
    this.#configuration = Promise.resolve(changed);
    return sources;
  }

  /** Has the user change a text; see `editor.ts`. */
  async editText(text: string, fileName: string): Promise<EditorOutcome> {
    const {editText} = await import('./editor.ts');
    return editText(this.environment, text, fileName);
  }

  async close(): Promise<void> {
    this.progress.close();
    await this.#busEngine?.then((engine) => engine.close()).catch(() => undefined);
    if (this.#catalog) await this.#catalog.then((catalog) => catalog.close()).catch(() => undefined);
  }
}

/** Without the keys that have no value, so that defaults behind a spread hold. */
function defined<T extends object>(values: T): {[K in keyof T]?: NonNullable<T[K]>} {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as {[K in keyof T]?: NonNullable<T[K]>};
}

function parseCount(text: string, flag: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 0 && count <= 1000) return count;
  throw new ImgctlError('Usage', `invalid value for ${flag}: "${text}" (a number from 0 to 1000)`);
}

function migrationsDirectory(): string {
  return path.join(packageRoot(), 'migrations');
}
