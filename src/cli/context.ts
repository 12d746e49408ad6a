/**
 * Wires everything once per invocation. Parts are opened when first asked for, so that a command pays only for what
 * it uses: `sources` opens no catalog, `list` loads no HTTP code. Close it at the end.
 */

import path from 'node:path';
import type {ActionContext, LockService, Pool} from '../actions/context.ts';
import type {DoctorContext} from '../actions/doctor-context.ts';
import type {ImageNamer} from '../actions/installed.ts';
import type {ListTextContext} from '../actions/list-text.ts';
import type {OffersContext} from '../actions/offers.ts';
import type {PullNotes} from '../actions/pull-notes.ts';
import type {SourceSettingsStore, SourcesContext} from '../actions/sources.ts';
import type {Catalog} from '../catalog/catalog.ts';
import {RecordStore} from '../catalog/records.ts';
import type {Engine} from '../engine/engine.ts';
import type {ImgctlError} from '../errors.ts';
import {type ImageClass, imageClasses} from '../import1/image-class.ts';
import type {SourceSettings} from '../sources/source.ts';
import type {Configuration} from './config.ts';
import {ConfigurationFiles} from './configuration-files.ts';
import {configuredPools} from './configured-pools.ts';
import {type ContextFlags, type PlaceFlags, type ProgramName, placeFlags} from './context-flags.ts';
import {Engines} from './engines.ts';
import type {Environment} from './environment.ts';
import type {Log} from './log.ts';
import {Network} from './network.ts';
import type {Output} from './output.ts';
import {migrationsDirectory} from './package-root.ts';
import {type StatePaths, statePaths} from './paths.ts';
import {tableLook} from './presentation.ts';
import type {Progress} from './progress/progress.ts';
import {actionReporter, openProgress} from './reporter.ts';
import type {TableLook} from './table.ts';

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
  readonly #engines: Engines;
  readonly #files: ConfigurationFiles;
  #catalog: Promise<Catalog> | undefined;

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
    this.#engines = new Engines({
      ...options,
      root: this.#root,
      paths: this.paths,
      network: this.network,
      configuration: () => this.configuration(),
      notes: () => this.notes(),
    });
    this.progress = openProgress(options);
  }

  /** An answer that is complete but for what failed: it is printed first, then this error ends the command. */
  failLater(error: ImgctlError | undefined): void {
    this.failure = error;
  }

  /** How tables are drawn on stdout. */
  get tableLook(): TableLook {
    return tableLook({program: this.program, environment: this.environment, flags: this.#flags});
  }

  configuration(): Promise<Configuration> {
    return this.#files.read();
  }

  catalog(): Promise<Catalog> {
    this.#catalog ??= this.#openCatalog();
    return this.#catalog;
  }

  async #openCatalog(): Promise<Catalog> {
    const {openCatalogToRead} = await import('../catalog/catalog-to-read.ts');
    const {catalogFile} = this.paths;
    return openCatalogToRead(catalogFile, migrationsDirectory(), async () => {
      const {openCatalogOrStandIn} = await import('./catalog-file.ts');
      return openCatalogOrStandIn(catalogFile, migrationsDirectory(), (text) => this.output.warn(text));
    });
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
      openCatalog: () => this.#openCatalogFile(),
      replaceCatalog: async () => {
        await this.#catalog?.then((catalog) => catalog.close()).catch(() => undefined);
        const {moveCatalogAway} = await import('../catalog/catalog.ts');
        await moveCatalogAway(this.paths.catalogFile);
        return this.#openCatalogFile();
      },
    };
  }

  /** The file itself or an error, for who looks whether all is well with it. */
  #openCatalogFile(): Promise<Catalog> {
    this.#catalog = import('../catalog/catalog.ts').then(({openCatalog}) =>
      openCatalog(this.paths.catalogFile, migrationsDirectory()),
    );
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
    return this.#engines.name;
  }

  /** Where the engine keeps images of a class. */
  imageDirectory(imageClass: ImageClass): string {
    return this.#engines.imageDirectory(imageClass);
  }

  engine(): Promise<Engine> {
    return this.#engines.open();
  }

  async notes(): Promise<{bootNotes: PullNotes; lastNotes: PullNotes}> {
    const {PullNotes: Notes} = await import('../actions/pull-notes.ts');
    return {
      bootNotes: new Notes(path.join(this.paths.runtimeDirectory, 'pulls')),
      lastNotes: new Notes(this.paths.pullNotesDirectory),
    };
  }

  /** What an action needs to read what is installed; loads no network code. */
  async installed(): Promise<Pick<ActionContext, 'catalog' | 'records' | 'engine' | 'pools' | 'program'>> {
    this.progress.begin();
    const [catalog, engine, pools] = await Promise.all([this.catalog(), this.engine(), this.pools()]);
    return {catalog, engine, pools, records: this.records(), program: this.program};
  }

  /** The same for who moves no data: storage only says what it holds. */
  async reading(): Promise<
    Pick<ActionContext, 'catalog' | 'records' | 'pools' | 'program'> &
      Pick<ListTextContext, 'openCompare'> & {engine: ImageNamer}
  > {
    const [catalog, engine, pools] = await Promise.all([
      this.catalog(),
      this.#engines.openNamer(),
      this.pools(),
    ]);
    return {
      ...{catalog, engine, pools, records: this.records(), program: this.program},
      openCompare: async () => (await import('../sys/missing-names.ts')).otherNames,
    };
  }

  /** What an action needs to tell what the sources offer. */
  async offers(): Promise<OffersContext> {
    return {
      catalog: await this.catalog(),
      sources: await this.network.offeringSources(),
      report: this.reporter(),
      signal: this.signal,
      now: () => new Date(),
      offline: this.network.offline,
      program: this.program,
    };
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

  async sourcesContext({isDryRun = false} = {}): Promise<SourcesContext> {
    const report = this.reporter();
    return {
      store: await this.#sourceSettingsStore(isDryRun),
      open: (settings) => this.network.openSource(settings),
      report: isDryRun ? {...report, step: (line) => report.step(`[dry-run] ${line}`)} : report,
      signal: this.signal,
    };
  }

  async #sourceSettingsStore(isDryRun: boolean): Promise<SourceSettingsStore> {
    const {sourceSettingsStore} = await import('./source-settings-store.ts');
    return sourceSettingsStore({
      files: this.#files,
      isDryRun,
      lock: async () => {
        const onWait = (): void =>
          this.output.notice('Waiting for another process to change the configuration');
        return (await this.locks()).acquire('configuration', {signal: this.signal, onWait});
      },
    });
  }

  async close(): Promise<void> {
    this.progress.close();
    await this.#engines.close();
    if (this.#catalog) await this.#catalog.then((catalog) => catalog.close()).catch(() => undefined);
  }
}
