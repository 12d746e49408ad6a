/**
 * The configuration as it holds (ux.md §9): the files of vendor, system and user, each with the drop-ins of its
 * `config.d` after it, read from the weakest to the strongest. Of a key in several the last one read counts, of the
 * objects `limits` and `pools` each member by itself. A file that was named on the command line stands alone.
 */

import {readdirSync} from 'node:fs';
import path from 'node:path';
import {errnoOf, ImgctlError} from '../errors.ts';
import {type Configuration, readConfiguration, writeConfiguration} from './config.ts';
import type {StatePaths} from './paths.ts';

/** Keys of which files add members. */
const mergedKeys = new Set(['limits', 'pools']);

export class ConfigurationFiles {
  /** The one that commands change. */
  readonly file: string;
  readonly #paths: ConfigurationPaths;
  readonly #isAlone: boolean;
  #read: Promise<ReadConfiguration> | undefined;

  constructor(chosen: string | undefined, paths: ConfigurationPaths) {
    this.file = chosen ?? paths.configFile;
    this.#paths = paths;
    this.#isAlone = chosen !== undefined;
  }

  /** As it was when it was first asked for, or last changed by this process. */
  async read(): Promise<Configuration> {
    this.#read ??= this.#readAll();
    return (await this.#read).configuration;
  }

  /**
   * Replaces one key by what `edit` makes of its value in force, unless that is the very value it was given; the caller
   * holds the configuration's lock. `ConfigError` where a drop-in would hide the change.
   */
  async change<K extends 'sources'>(
    key: K,
    edit: (current: Configuration[K]) => Configuration[K],
  ): Promise<void> {
    const {configuration, origins} = await this.#readAll();
    const value = edit(configuration[key]);
    if (value === configuration[key]) return;
    const origin = origins.get(key);
    if (origin !== undefined && origin !== this.file && path.dirname(origin) === this.#dropIns(this.file)) {
      throw new ImgctlError(
        'ConfigError',
        `"${key}" is set in "${origin}", which counts over "${this.file}"`,
        {
          hint: `change it there: ${origin}`,
        },
      );
    }
    await writeConfiguration(this.file, {...(await readConfiguration(this.file)), [key]: value});
    this.#read = this.#readAll();
  }

  async #readAll(): Promise<ReadConfiguration> {
    const all: ReadConfiguration = {configuration: {}, origins: new Map()};
    if (this.#isAlone) {
      merge(all, this.file, await readConfiguration(this.file));
      return all;
    }
    const {scope, configFilesBelow} = this.#paths;
    for (const file of configFilesBelow)
      for (const each of this.#withDropIns(file)) {
        const {pools, ...values} = await readForeign(each);
        // Those of the system are not a user's to look into.
        merge(all, each, scope === 'user' || pools === undefined ? values : {...values, pools});
      }
    for (const each of this.#withDropIns(this.file)) merge(all, each, await readConfiguration(each));
    return all;
  }

  #withDropIns(file: string): string[] {
    return [file, ...dropIns(this.#dropIns(file))];
  }

  #dropIns(file: string): string {
    return path.join(path.dirname(file), 'config.d');
  }
}

type ConfigurationPaths = Pick<StatePaths, 'scope' | 'configFile' | 'configFilesBelow'>;

interface ReadConfiguration {
  configuration: Configuration;
  /** The file that each key in force was read from last. */
  origins: Map<string, string>;
}

function merge({configuration, origins}: ReadConfiguration, file: string, values: Configuration): void {
  for (const [key, value] of Object.entries(values)) {
    configuration[key] = mergedKeys.has(key) ? {...Object(configuration[key]), ...Object(value)} : value;
    origins.set(key, file);
  }
}

/** In the order of their names. */
function dropIns(directory: string): string[] {
  try {
    const names = readdirSync(directory).filter((name) => /^[^.].*\.json$/.test(name));
    return names.sort().map((name) => path.join(directory, name));
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(errnoOf(error) ?? '')) return [];
    throw new ImgctlError(
      'ConfigError',
      `cannot read directory "${directory}": ${(error as Error).message}`,
      {
        cause: error,
      },
    );
  }
}

/** Of what the system keeps to itself a user knows nothing. */
async function readForeign(file: string): Promise<Configuration> {
  try {
    return await readConfiguration(file);
  } catch (error) {
    const cause = error instanceof ImgctlError ? error.cause : undefined;
    if (errnoOf(cause) === 'EACCES') return {};
    throw error;
  }
}
