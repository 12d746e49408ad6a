/** The configured sources as they stand in the configuration file, changed by one process at a time. */

import type {SourceSettingsStore} from '../actions/sources.ts';
import type {SourceSettings} from '../sources/source.ts';
import {type Configuration, defaultSource, readConfiguration, writeConfiguration} from './config.ts';

export interface SourceSettingsStoreOptions {
  configFile: string;
  /** What the configuration that this process has read says. */
  read(): Promise<SourceSettings[]>;
  /** Called with what the file has held since a change. */
  changed(configuration: Configuration): void;
  /** Waits for the right to change the file. */
  lock(): Promise<{release(): void | Promise<void>}>;
}

export function sourceSettingsStore(options: SourceSettingsStoreOptions): SourceSettingsStore {
  return {
    read: options.read,
    change: async (edit) => {
      const lock = await options.lock();
      return change(options, edit).finally(() => lock.release());
    },
  };
}

/** On the file as it is now: another process may have changed it since this one read it. */
async function change(
  {configFile, changed}: SourceSettingsStoreOptions,
  edit: Parameters<SourceSettingsStore['change']>[0],
): Promise<SourceSettings[]> {
  const configuration = await readConfiguration(configFile);
  const current = configuration.sources ?? [defaultSource];
  const sources = edit(current, configuration.sources === undefined);
  if (sources === current) return current;
  const next = {...configuration, sources};
  await writeConfiguration(configFile, next);
  changed(next);
  return sources;
}
