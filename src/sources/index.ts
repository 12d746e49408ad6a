/** The registry of source types: the one place that maps a type to its class (style.md §2.5). */

import type {DownloadCache} from '../downloads/download-cache.ts';
import type {HttpClient} from '../http/http-client.ts';
import type {Authentication} from '../imgapi/authentication.ts';
import type {ImgapiLimits} from '../imgapi/limits.ts';
import type {TrustRule} from '../verify/trust-policy.ts';
import {DsapiSource} from './dsapi.ts';
import {ImgapiSource} from './imgapi.ts';
import type {ImageSource, SourceSettings, VerifiedSource} from './source.ts';
import {sourceType} from './source-type.ts';
import {verifiedSource} from './verified.ts';

type SourceClass = new (
  settings: SourceSettings,
  http: HttpClient,
  limits?: Partial<ImgapiLimits>,
  authentication?: Authentication,
) => ImageSource;

const classByType: Readonly<Record<SourceSettings['type'], SourceClass>> = {
  imgapi: ImgapiSource,
  dsapi: DsapiSource,
};

export interface SourceParts {
  http: HttpClient;
  cache: DownloadCache;
  limits?: Partial<ImgapiLimits>;
  /** Of the settings' `auth`; servers of the older dataset API do not ask who reads. */
  authentication?: Authentication | undefined;
  /** What is asked of files from its URL. */
  trust?: TrustRule | undefined;
}

/** Opens a source behind the verified doorway. Refuses its type as `sourceType` does, and URLs as the type does. */
export function openSource(settings: SourceSettings, parts: SourceParts): VerifiedSource {
  const {http, cache, limits, authentication, trust} = parts;
  const Source = classByType[sourceType(settings.type, settings.url)];
  return verifiedSource(new Source(settings, http, limits, authentication), cache, trust);
}
