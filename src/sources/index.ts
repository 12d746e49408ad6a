/** The registry of source types: the one place that maps a type to its class (style.md §2.5). */

import type {DownloadCache} from '../downloads/download-cache.ts';
import {ImgctlError} from '../errors.ts';
import type {HttpClient} from '../http/http-client.ts';
import {ImgapiSource} from './imgapi.ts';
import type {ImageSource, SourceSettings, VerifiedSource} from './source.ts';
import {verifiedSource} from './verified.ts';

export const sourceTypes = ['imgapi'] as const;

type SourceClass = new (settings: SourceSettings, http: HttpClient) => ImageSource;

const classByType: Readonly<Record<SourceSettings['type'], SourceClass>> = {imgapi: ImgapiSource};

/** Opens a source behind the verified doorway. `ConfigError` for a type that is not known. */
export function openSource(settings: SourceSettings, http: HttpClient, cache: DownloadCache): VerifiedSource {
  const Source = classByType[settings.type];
  if (!Source) {
    throw new ImgctlError(
      'ConfigError',
      `type "${settings.type}" for source url "${settings.url}" is invalid: must be one of ${sourceTypes.map((type) => `"${type}"`).join(', ')}`,
    );
  }
  return verifiedSource(new Source(settings, http), cache);
}
