/**
 * Wires everything once per invocation. Parts are opened when first asked for, so that a command pays only for what
 * it uses: `sources` opens no catalog, `list` loads no HTTP code. Close it at the end.
 */

import path from 'node:path';
import type {ActionContext, LockService, Pool} from '../actions/context.ts';
import type {DoctorContext} from '../actions/doctor-context.ts';
import {PullNotes} from '../actions/pull-notes.ts';
import type {SourceSettingsStore, SourcesContext} from '../actions/sources.ts';
import {type Catalog, moveCatalogAway, openCatalog} from '../catalog/catalog.ts';
import {RecordStore} from '../catalog/records.ts';
import type {BusEngine} from '../dbus/client/bus-engine.ts';
import type {Engine} from '../engine/engine.ts';
import type {ImgctlError} from '../errors.ts';
import {classDirectoryNames, type ImageClass, imageClasses} from '../import1/image-class.ts';
import type {SourceSettings} from '../sources/source.ts';
import {openCatalogOrStandIn} from './catalog-file.ts';
import {type Configuration, engineLimits} from './config.ts';
import {ConfigurationFiles} from './configuration-files.ts';
import {configuredPools, withConfiguredPools} from './configured-pools.ts';
import {type ContextFlags, type PlaceFlags, type ProgramName, placeFlags} from './context-flags.ts';
import {chooseEngine} from './engine-choice.ts';
import {type Environment, ellipsisFor} from './environment.ts';
import type {Log} from './log.ts';
import {Network} from './network.ts';
import {notingEngine} from './noting-engine.ts';
import type {Output} from './output.ts';
import {migrationsDirectory} from './package-root.ts';
import {keyringFiles, type StatePaths, statePaths} from './paths.ts';
import {Progress} from './progress.ts';
import {checkPull} from './pull-policy.ts';
import {actionReporter} from './reporter.ts';

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

export class CommandContext {
  readonly program: ProgramName;
  readonly environment: Environment;
  readonly output: Output;
  readonly signal: AbortSignal;
  readonly progress: Progress;
  readonly log: Log;
  readonly paths: StatePaths;
  readonly network: Network;
  /** See `failLater`. */
  failure: ImgctlError | undefined;
  readonly #flags: ContextFlags;
  readonly #root: string | undefined;
  readonly #files: ConfigurationFiles;
  #catalog: Promise<Catalog> | undefined;
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
    this.#files = new ConfigurationFiles(
      options.flags.config ?? (env.IMGCTL_CONFIG || undefined),
      this.paths,
    );
    this.network = new Network({
      ...options,
      cacheDirectory: this.paths.cacheDirectory,
      configuration: () => this.configuration(),
    });
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

  get ellipsis(): string {
    return ellipsisFor(this.environment.env);
  }

  configuration(): Promise<Configuration> {
    return this.#files.read();
  }

  catalog(): Promise<Catalog> {
    this.#catalog ??= openCatalogOrStandIn(this.paths.catalogFile, migrationsDirectory(), (text) =>
      this.output.warn(text),
    );
    return this.#catalog;
  }

  async doctor(): Promise<DoctorContext> {
    const [engine, pools, locks] = await Promise.all([this.engine(), this.pools(), this.locks()]);
    const host = {env: this.environment.env, root: this.#root, ...(await this.configuration())};
    const places = {pools, locks, records: this.records()};
    return {
      engine,
      ...places,
      leftovers: async (options) => (await import('./leftovers.ts')).findLeftovers(places, options),
      checkHost: async () => (await import('./host-checks.ts')).checkHost(engine, pools, host),
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
    // Services know the directories of the classes only.
    return [...builtIn, ...(this.engineName === 'dbus' ? [] : configuredPools(configuration))];
  }

  /** For a process that is to work with the same. */
  placeFlags(): PlaceFlags {
    return placeFlags(this.#flags);
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
    const directories = new EmbeddedEngine({
      runtimeDirectory: this.paths.runtimeDirectory,
      limits: engineLimits(await this.configuration()),
      pull: {
        http: () => this.network.http({isPull: true}),
        downloads: () => this.network.downloads(),
        keyringFiles: keyringFiles(this.environment.env, this.#root),
        keyringFor: async (url) => (await this.network.trustRule(url))?.keyring,
      },
    });
    return withConfiguredPools(directories, await this.configuration(), this.paths.runtimeDirectory);
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
      check: async (request) => checkPull(request, await this.network.trustRule(request.url), engine.name),
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

  /** What an action needs to read what is installed; loads no network code. */
  async installed(): Promise<Pick<ActionContext, 'catalog' | 'records' | 'engine' | 'pools' | 'program'>> {
    const [catalog, engine, pools] = await Promise.all([this.catalog(), this.engine(), this.pools()]);
    return {catalog, engine, pools, records: this.records(), program: this.program};
  }

  async action(selection: SourceSelection = {}): Promise<ActionContext> {
    const {urls = [], channel} = selection;
    const chosen = urls.map((url): SourceSettings => ({url, type: 'imgapi'}));
    const settings = chosen.length > 0 ? chosen : await this.network.sourceSettings();
    const sources = await Promise.all(
      settings.map((source) =>
        this.network.openSource(channel === undefined ? source : {...source, channel}),
      ),
    );
    const configuration = await this.configuration();
    return {
      ...(await this.installed()),
      sources,
      downloads: await this.network.downloads(),
      limits: configuration.limits ?? {},
      platform: configuration.platform,
      locks: await this.locks(),
      report: this.reporter(),
      signal: this.signal,
      offline: this.network.offline,
      now: () => new Date(),
    };
  }

  reporter(): ActionContext['report'] {
    return actionReporter(this.output, this.progress);
  }

  async locks(): Promise<LockService> {
    const {lockService} = await import('./locks.ts');
    return lockService(path.join(this.paths.runtimeDirectory, 'locks'));
  }

  async sourcesContext(): Promise<SourcesContext> {
    return {
      store: await this.#sourceSettingsStore(),
      open: (settings) => this.network.openSource(settings),
      report: this.reporter(),
      signal: this.signal,
    };
  }

  async #sourceSettingsStore(): Promise<SourceSettingsStore> {
    const {sourceSettingsStore} = await import('./source-settings-store.ts');
    return sourceSettingsStore({
      files: this.#files,
      lock: async () => {
        const onWait = (): void =>
          this.output.notice('Waiting for another process to change the configuration');
        return (await this.locks()).acquire('configuration', {signal: this.signal, onWait});
      },
    });
  }

  async close(): Promise<void> {
    this.progress.close();
    await this.#busEngine?.then((engine) => engine.close()).catch(() => undefined);
    if (this.#catalog) await this.#catalog.then((catalog) => catalog.close()).catch(() => undefined);
  }
}
