/** Types of sources by the names users give them (spec/imgadm.md §5). */

import {ImgctlError} from '../errors.ts';
import type {SourceSettings} from './source.ts';

const knownTypes: readonly string[] = ['imgapi', 'dsapi'] satisfies SourceSettings['type'][];

/** The type named; `NotSupported` for docker, `ConfigError` with imgadm's text for any other. */
export function sourceType(text: string, url: string): SourceSettings['type'] {
  if (knownTypes.includes(text)) return text as SourceSettings['type'];
  if (text === 'docker') throw dockerNotSupported(`image source "${url}"`);
  throw new ImgctlError(
    'ConfigError',
    `type "${text}" for source url "${url}" is invalid: must be one of "imgapi", "dsapi", "docker"`,
  );
}

/** One wording for everything that has to do with docker registries (design.md §7). */
export function dockerNotSupported(what: string): ImgctlError {
  return new ImgctlError('NotSupported', `docker is not supported: ${what}`, {
    hint: 'sources are IMGAPI servers and, read-only, servers of the dataset API',
  });
}
