/**
 * The engine of an invocation (design.md §6): one choice, opened when first asked for, and its pulls noted. Who only wants
 * to know which images lie where gets names, which loads no engine.
 */

import path from 'node:path';
import type {ImageNamer} from '../actions/installed.ts';
import type {PullNotes} from '../actions/pull-notes.ts';
import type {BusEngine} from '../dbus/client/bus-engine.ts';
import type {Engine} from '../engine/engine.ts';
import {classDirectoryNames, type ImageClass} from '../import1/image-class.ts';
import {type Configuration, engineLimits} from './config.ts';
import {hasZfsPool, withConfiguredPools} from './configured-pools.ts';
import type {ContextFlags} from './context-flags.ts';
import {chooseEngine} from './engine-choice.ts';
import type {Environment} from './environment.ts';
import type {Network} from './network.ts';
import type {Output} from './output.ts';
import {proofPlaces, type StatePaths} from './paths.ts';

export interface EnginesOptions {
  environment: Environment;
  flags: ContextFlags;
  root: string | undefined;
  paths: StatePaths;
  network: Network;
  output: Output;
  configuration(): Promise<Configuration>;
  /** Where pulls of this boot are noted, and those that were last put in place. */
  notes(): Promise<{bootNotes: PullNotes; lastNotes: PullNotes}>;
}

export class Engines {
  readonly #options: EnginesOptions;
  #busEngine: Promise<BusEngine> | undefined;

  constructor(options: EnginesOptions) {
    this.#options = options;
  }

  get name(): Engine['name'] {
    const {flags, environment, root, paths} = this.#options;
    return chooseEngine({
      wanted: flags.engine ?? (environment.env.IMGCTL_ENGINE || undefined),
      root,
      directory: paths.imageDirectory('machine'),
    });
  }

  /** Where the engine keeps images of a class. */
  imageDirectory(imageClass: ImageClass): string {
    const {flags, paths} = this.#options;
    if (this.name === 'embedded') return paths.imageDirectory(imageClass);
    // The service of a user keeps all classes in one place (design.md §4).
    if (flags.scope === 'user') return paths.imageDirectory('machine');
    return path.join('/var/lib', classDirectoryNames[imageClass]);
  }

  async open(): Promise<Engine> {
    return this.#noting(await (this.name === 'embedded' ? this.#openEmbedded() : this.#openBusEngine()));
  }

  /** The engine, or what names the same images as it would. */
  async openNamer(): Promise<ImageNamer> {
    if (this.name !== 'embedded' || hasZfsPool(await this.#options.configuration())) return this.open();
    const {holdsImages, readImageNames} = await import('../engine/embedded/image-names.ts');
    return {listImages: async (store) => readImageNames(store), holds: holdsImages};
  }

  async #openEmbedded(): Promise<Engine> {
    const {EmbeddedEngine} = await import('../engine/embedded/embedded-engine.ts');
    const {environment, root, paths, network} = this.#options;
    const configuration = await this.#options.configuration();
    const directories = new EmbeddedEngine({
      runtimeDirectory: paths.runtimeDirectory,
      limits: engineLimits(configuration),
      pull: {
        http: () => network.http({isPull: true}),
        downloads: () => network.downloads(),
        ...proofPlaces(environment.env, root, paths),
        keyringFor: async (url) => (await network.trustRule(url))?.keyring,
      },
    });
    return withConfiguredPools(directories, configuration, paths.runtimeDirectory);
  }

  #openBusEngine(): Promise<BusEngine> {
    const {environment, flags, paths} = this.#options;
    this.#busEngine ??= (async () => {
      const {openBusEngine} = await import('./bus-engine.ts');
      return openBusEngine({
        environment,
        scope: flags.scope ?? 'system',
        classDirectory: (imageClass) => this.imageDirectory(imageClass),
        scratchDirectory: path.join(paths.cacheDirectory, 'handover'),
      });
    })();
    return this.#busEngine;
  }

  async #noting(engine: Engine): Promise<Engine> {
    const [{notingEngine}, {checkPull}] = await Promise.all([
      import('./noting-engine.ts'),
      import('./pull-policy.ts'),
    ]);
    const {network, output} = this.#options;
    return notingEngine(engine, {
      ...(await this.#options.notes()),
      check: async (request) => checkPull(request, await network.trustRule(request.url), engine.name),
      now: () => new Date(),
      warn: (text) => output.warn(text),
    });
  }

  async close(): Promise<void> {
    await this.#busEngine?.then((engine) => engine.close()).catch(() => undefined);
  }
}
