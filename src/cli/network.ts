/** What a command reaches beyond its own state: HTTP, the download cache, sources and servers, each loaded when asked for. */

import type {OfferingSource} from '../actions/offers.ts';
import type {DownloadCache} from '../downloads/download-cache.ts';
import {ImgctlError} from '../errors.ts';
import type {HttpClient} from '../http/http-client.ts';
import {maskUrl} from '../http/mask-url.ts';
import type {Authentication} from '../imgapi/authentication.ts';
import type {ImgapiClient} from '../imgapi/imgapi-client.ts';
import type {ImgapiLimits} from '../imgapi/limits.ts';
import type {SourceSettings, VerifiedSource} from '../sources/source.ts';
import {findTrustRule, type TrustRule} from '../verify/trust-policy.ts';
import {type Configuration, defaultSource} from './config.ts';
import type {ContextFlags, ProgramName} from './context-flags.ts';
import {CosmicRays} from './cosmic-rays.ts';
import {parseDuration} from './durations.ts';
import {type Environment, isYes} from './environment.ts';
import type {Log} from './log.ts';
import type {Output} from './output.ts';

export interface NetworkOptions {
  program: ProgramName;
  environment: Environment;
  flags: ContextFlags;
  output: Output;
  log: Log;
  cacheDirectory: string;
  configuration(): Promise<Configuration>;
}

const defaultCacheBytes = 5 * 2 ** 30;
const defaultRetries = 4;
const defaultStallMs = 30_000;

/** For whoever is going to ask that URL. */
export async function guardSecrets(url: string): Promise<void> {
  if (maskUrl(url) === url) return;
  const {forbidCoreDumps} = await import('../sys/core-dumps.ts');
  forbidCoreDumps();
}

export class Network {
  readonly #options: NetworkOptions;
  #cosmicRays: CosmicRays | undefined;

  constructor(options: NetworkOptions) {
    this.#options = options;
  }

  /** `--offline`, or the environment says anything but no. */
  get offline(): boolean {
    return this.#options.flags.offline === true || isYes(this.#options.environment.env.IMGCTL_OFFLINE);
  }

  async http(settings: Pick<SourceSettings, 'insecure'> & {isPull?: boolean} = {}): Promise<HttpClient> {
    const [{HttpClient: Client}, {httpSettings}] = await Promise.all([
      import('../http/http-client.ts'),
      import('./http-settings.ts'),
    ]);
    const {limits = {}, userAgentExtra} = await this.#options.configuration();
    return new Client(
      httpSettings({
        env: this.offline
          ? {...this.#options.environment.env, IMGCTL_OFFLINE: '1'}
          : this.#options.environment.env,
        log: this.#options.log,
        warn: (text) => {
          if (this.#options.program === 'imgctl') this.#options.output.warn(text);
        },
        insecure: settings.insecure,
        isPull: settings.isPull === true,
        userAgentExtra,
        ...this.#patience(),
        limits: defined({redirects: limits.redirects, headerBytes: limits.headerBytes}),
      }),
    );
  }

  /** How often what failed for a passing reason is tried again. */
  get retries(): number {
    return this.#options.flags.retries === undefined
      ? defaultRetries
      : parseCount(this.#options.flags.retries, '--retries');
  }

  /** `Usage` for words that make no sense, whether they will count or not. */
  #patience(): {retries: number; stallTimeoutMs: number} {
    const {timeout} = this.#options.flags;
    const stallTimeoutMs = timeout === undefined ? defaultStallMs : parseDuration(timeout);
    return {retries: this.retries, stallTimeoutMs};
  }

  async downloads(): Promise<DownloadCache> {
    const {DownloadCache: Cache} = await import('../downloads/download-cache.ts');
    const configuration = await this.#options.configuration();
    return new Cache({
      directory: this.#options.cacheDirectory,
      maxBytes: configuration.limits?.cacheBytes ?? defaultCacheBytes,
      retries: this.retries,
      retryDelayMs: 1000,
      ...defined({quarantineBytes: configuration.limits?.quarantineBytes}),
    });
  }

  /** Those in force: the one that `IMGCTL_SOURCE` names, by URL or name, else those that are configured. */
  async sourceSettings(): Promise<SourceSettings[]> {
    const configured = await this.configuredSources();
    const wanted = this.#options.environment.env.IMGCTL_SOURCE;
    if (!wanted || this.#options.program !== 'imgctl') return configured;
    const known = configured.find(({name, url}) => name === wanted || url === wanted);
    return [known ?? {url: wanted, type: 'imgapi'}];
  }

  async configuredSources(): Promise<SourceSettings[]> {
    return (await this.#options.configuration()).sources ?? [defaultSource];
  }

  async openSource(settings: SourceSettings): Promise<VerifiedSource> {
    await guardSecrets(settings.url);
    const {openSource} = await import('../sources/index.ts');
    const limits = await this.#imgapiLimits();
    const source = openSource(settings, {
      http: await this.http(settings),
      cache: await this.downloads(),
      limits,
      authentication: await this.#authentication(settings),
      trust: await this.trustRule(settings.url),
    });
    this.#cosmicRays ??= new CosmicRays(this.#options.environment.env);
    return this.#cosmicRays.over(source);
  }

  /** The configured sources, to be asked what they offer; offline, when nobody will be, none is opened. */
  async offeringSources(): Promise<OfferingSource[]> {
    const settings = await this.sourceSettings();
    if (!this.offline) return Promise.all(settings.map((source) => this.openSource(source)));
    this.#patience();
    return settings.map((source) => ({
      settings: source,
      listImages: async (options) => (await this.openSource(source)).listImages(options),
    }));
  }

  /** What the configuration asks of files from there. */
  async trustRule(url: string): Promise<TrustRule | undefined> {
    return findTrustRule((await this.#options.configuration()).trust ?? [], url);
  }

  /** A client that may write. A configured source is found by its URL or name, and its settings hold. */
  async imgapi(text: string, channel?: string): Promise<ImgapiClient> {
    const {ImgapiClient: Client} = await import('../imgapi/imgapi-client.ts');
    const settings = await this.#writable(text);
    const wanted = channel ?? settings.channel;
    await guardSecrets(settings.url);
    return new Client(await this.http(settings), settings.url, {
      limits: await this.#imgapiLimits(),
      authentication: await this.#authentication(settings),
      ...(wanted !== undefined && {channel: wanted}),
    });
  }

  /** The URL of the server that the text is the URL or the source's name of. */
  async serverUrl(text: string): Promise<string> {
    return (await this.#writable(text)).url;
  }

  /** Channels do not count: a server has the same users for all of them. A URL as typed keeps its own channel. */
  async #writable(text: string): Promise<SourceSettings> {
    const {parseSourceUrl} = await import('../imgapi/source-url.ts');
    const sources = (await this.configuredSources()).filter(({type}) => type === 'imgapi');
    const named = sources.find(({name}) => name === text && this.#options.program === 'imgctl');
    if (named) return named;
    const {base} = parseSourceUrl(text);
    const same = sources.find(({url}) => parseSourceUrl(url).base === base);
    const {insecure, auth} = same ?? {};
    return {url: text, type: 'imgapi', ...(insecure && {insecure}), ...(auth && {auth})};
  }

  async #authentication({auth}: SourceSettings): Promise<Authentication | undefined> {
    if (auth === undefined) return undefined;
    const {openAuthentication} = await import('./source-auth.ts');
    const warn = (text: string): void => this.#options.output.warn(text);
    return openAuthentication(auth, {env: this.#options.environment.env, warn});
  }

  async #imgapiLimits(): Promise<Partial<ImgapiLimits>> {
    const {listingBytes, documentBytes, listingImages} = (await this.#options.configuration()).limits ?? {};
    return defined({listingBytes, documentBytes, images: listingImages});
  }
}

/** Without the keys that have no value, so that defaults behind a spread hold. */
function defined<T extends object>(values: T): {[K in keyof T]?: NonNullable<T[K]>} {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as {[K in keyof T]?: NonNullable<T[K]>};
}

function parseCount(text: string, flag: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 0 && count <= 1000) return count;
  throw new ImgctlError('Usage', `invalid value for ${flag}: "${text}" (a number from 0 to 1000)`);
}
