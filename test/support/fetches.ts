/** Fetches through a real client from a file server, as a source of type imgapi does. */
import {DownloadCache, type DownloadCacheOptions} from '../../src/downloads/download-cache.ts';
import type {ExpectedFile, FetchRequest} from '../../src/downloads/fetch-request.ts';
import {HttpClient} from '../../src/http/http-client.ts';
import {ImgapiClient} from '../../src/imgapi/imgapi-client.ts';

export const subject = '3e6ed30f-64c7-431d-9fee-888be6361632';

export function openCache(directory: string, options: Partial<DownloadCacheOptions> = {}): DownloadCache {
  return new DownloadCache({directory, maxBytes: 2 ** 30, retries: 2, retryDelayMs: 1, ...options});
}

export function openHttp(): HttpClient {
  return new HttpClient({
    userAgent: 'imgctl-test',
    stallTimeoutMs: 5000,
    retries: {count: 1, baseDelayMs: 1},
  });
}

export function fetchRequest(
  http: HttpClient,
  url: string,
  expected: ExpectedFile,
  more: Partial<FetchRequest> = {},
): FetchRequest {
  const client = new ImgapiClient(http, url);
  return {
    subject,
    url,
    expected,
    open: ({offsetBytes, validator}, signal) =>
      client.openFile(subject, {
        offsetBytes,
        ...(validator !== undefined && {validator}),
        ...(signal && {signal}),
      }),
    ...more,
  };
}
