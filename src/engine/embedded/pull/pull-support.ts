import type {DownloadCache} from '../../../downloads/download-cache.ts';
import type {HttpClient} from '../../../http/http-client.ts';

/** What pulls need beyond what imports do; made when the first pull asks for it. */
export interface PullSupport {
  http: () => Promise<HttpClient>;
  downloads: () => Promise<DownloadCache>;
  /** Files with the OpenPGP keys that may sign; those that are not there are passed over. */
  keyringFiles: readonly string[];
  /** The keyring that takes their place for a URL. */
  keyringFor?: (url: string) => Promise<string | undefined>;
  /** Where it is kept what signed lists were seen before; without it none is too old. */
  signedListsDirectory?: string;
  /** Greatest size of an image as it is transferred (default 64 GiB, as importd has it). */
  maxImageBytes?: number;
}
