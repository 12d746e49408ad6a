/** An IMGAPI server as a source (spec/imgapi.md); raw answers, see `verified.ts`. */

import type {HttpClient} from '../http/http-client.ts';
import type {Authentication} from '../imgapi/authentication.ts';
import {ImgapiClient} from '../imgapi/imgapi-client.ts';
import type {ImgapiLimits} from '../imgapi/limits.ts';
import type {
  ImageSource,
  ListOptions,
  OpenFileOptions,
  SourceFile,
  SourceListing,
  SourceSettings,
} from './source.ts';

export class ImgapiSource implements ImageSource {
  readonly settings: SourceSettings;
  readonly #client: ImgapiClient;

  constructor(
    settings: SourceSettings,
    http: HttpClient,
    limits: Partial<ImgapiLimits> = {},
    authentication?: Authentication,
  ) {
    const {url, channel} = settings;
    this.settings = settings;
    const options = {limits, authentication, ...(channel !== undefined && {channel})};
    this.#client = new ImgapiClient(http, url, options);
  }

  async ping(options: ListOptions = {}): Promise<void> {
    await this.#client.ping(options);
  }

  async listImages(options: ListOptions = {}): Promise<SourceListing | undefined> {
    const listing = await this.#client.listImages({}, options);
    return listing.isUnchanged ? undefined : listing;
  }

  findImage(uuid: string, options: ListOptions = {}): Promise<unknown> {
    return this.#client.findImage(uuid, options);
  }

  openFile(uuid: string, options: OpenFileOptions = {}): Promise<SourceFile> {
    return this.#client.openFile(uuid, options);
  }
}
