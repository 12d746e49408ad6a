/** The configured sources as they stand in the configuration files, changed by one process at a time. */

import type {SourceSettingsStore} from '../actions/sources.ts';
import type {SourceSettings} from '../sources/source.ts';
import {defaultSource} from './config.ts';
import type {ConfigurationFiles} from './configuration-files.ts';

export interface SourceSettingsStoreOptions {
  files: ConfigurationFiles;
  /** Changes are made for the answer alone. */
  isDryRun: boolean;
  /** Waits for the right to change the file. */
  lock(): Promise<{release(): void | Promise<void>}>;
}

export function sourceSettingsStore({
  files,
  lock,
  isDryRun,
}: SourceSettingsStoreOptions): SourceSettingsStore {
  const read = async (): Promise<SourceSettings[]> => (await files.read()).sources ?? [defaultSource];
  return {
    read,
    change: async (edit) => {
      if (isDryRun) return edit(await read(), (await files.read()).sources === undefined);
      const held = await lock();
      try {
        // On the files as they are now: another process may have changed them since this one read them.
        await files.change('sources', (current) => {
          const known = current ?? [defaultSource];
          const sources = edit(known, current === undefined);
          return sources === known ? current : sources;
        });
      } finally {
        await held.release();
      }
      return read();
    },
  };
}
