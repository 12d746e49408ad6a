/** Where `create` puts its files: in place when they are whole, or for a while below the cache. */

import {mkdirSync} from 'node:fs';
import path from 'node:path';
import type {CreateOutputs} from '../actions/create.ts';
import {writeOutputFile} from '../sys/output-file.ts';
import {makeStaging, stagedSide, sweepStaging} from '../sys/staging.ts';

/** Relative names are taken from the working directory. */
export function outputPlaces(cacheDirectory: string): CreateOutputs {
  const directory = path.join(cacheDirectory, 'create');
  return {
    writeFile: writeOutputFile,
    withTemporary: async (use) => {
      mkdirSync(directory, {recursive: true, mode: 0o700});
      await sweepStaging(directory);
      const staging = makeStaging(directory, 'image');
      try {
        return await use(path.join(staging.path, stagedSide('')));
      } finally {
        await staging.remove();
      }
    },
  };
}
