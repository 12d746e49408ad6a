import {ImgctlError} from '../errors.ts';
import type {ImageManifest} from '../manifest/manifest.ts';

/** The size of a page a server with a limit answers with (spec/imgapi.md §3.2). */
export const pageSize = 1000;

export interface CollectedPages {
  /** Raw answers, each an object with a `uuid` text; nothing else is checked. No UUID twice. */
  manifests: ImageManifest[];
  /** Why the listing may not be the whole; a sentence each. */
  warnings: string[];
  /** Whether the first page was everything there is. */
  isOnePage: boolean;
  /**
   * The last image of that page when the server may have cut it there: what is published later may not change the
   * page, only what follows it.
   */
  cutAfter: string | undefined;
}

/**
 * Reads every page after `first`. Servers are not trusted to page well: ones that ignore markers or limits,
 * repeat images or serve more than they should end the reading, at the latest after `maxImages`.
 */
export async function collectPages(
  first: unknown[],
  options: {fetchPage: (marker: string) => Promise<unknown[]>; maxImages: number},
): Promise<CollectedPages> {
  const collector = new Collector(options.maxImages);
  let page = first;
  let news = collector.add(first);
  let marker: string | undefined;
  while (page.length >= pageSize && news > 0) {
    const last = uuidOf(page.at(-1));
    if (last === undefined || last === marker) break;
    marker = last;
    page = await options.fetchPage(marker);
    news = collector.add(page);
  }
  if (marker !== undefined && page.length === pageSize) collector.warnAboutEnd(page, marker, first.length);
  const isFull = first.length > 0 && first.length % pageSize === 0;
  const isOnePage = collector.manifests.length <= first.length;
  const cutAfter = isFull ? uuidOf(first.at(-1)) : undefined;
  return {manifests: collector.manifests, warnings: collector.warnings, isOnePage, cutAfter};
}

/** What a later call needs to know that nothing changed; undefined when the ETag of the first page cannot tell. */
export function validatorFor(
  etag: string | undefined,
  {isOnePage, cutAfter}: Pick<CollectedPages, 'isOnePage' | 'cutAfter'>,
): string | undefined {
  if (etag === undefined || !isOnePage) return undefined;
  return cutAfter === undefined ? etag : `${etag} after ${cutAfter}`;
}

export function parseValidator(validator: string | undefined): {
  etag: string | undefined;
  cutAfter: string | undefined;
} {
  const [, etag = validator, cutAfter] = /^(.+) after (\S+)$/.exec(validator ?? '') ?? [];
  return {etag, cutAfter};
}

/** Whether nothing follows the marker, which is part of its own page. */
export function bringsNothing(page: readonly unknown[], marker: string): boolean {
  return page.every((entry) => uuidOf(entry) === marker);
}

class Collector {
  readonly manifests: ImageManifest[] = [];
  readonly warnings: string[] = [];
  readonly #seen = new Set<string>();
  readonly #maxImages: number;

  constructor(maxImages: number) {
    this.#maxImages = maxImages;
  }

  /** Takes over what is new; returns how many images that were. */
  add(page: unknown[]): number {
    const before = this.#seen.size;
    for (const entry of page) {
      const uuid = uuidOf(entry);
      if (uuid === undefined) this.#warnOnce('an entry of the listing without a "uuid" is left out');
      else if (!this.#seen.has(uuid)) this.#take(uuid, entry as ImageManifest);
    }
    return this.#seen.size - before;
  }

  /** The reading ended at a full page: the marker could not be passed, or the server does not know markers. */
  warnAboutEnd(page: unknown[], marker: string, firstLength: number): void {
    const dates = new Set(page.map((entry) => (Object(entry) as Partial<ImageManifest>).published_at));
    if (dates.size === 1) {
      this.#warnOnce(
        `the listing stops after image ${marker}: ${page.length} images share one published_at; more may follow`,
      );
    } else if (firstLength === pageSize) {
      this.#warnOnce('the server seems to ignore markers; the listing may stop at its page limit');
    }
  }

  #take(uuid: string, manifest: ImageManifest): void {
    if (this.#seen.size >= this.#maxImages) {
      throw new ImgctlError('LimitExceeded', `listing has more than ${this.#maxImages} images`);
    }
    this.#seen.add(uuid);
    this.manifests.push(manifest);
  }

  #warnOnce(text: string): void {
    if (!this.warnings.includes(text)) this.warnings.push(text);
  }
}

function uuidOf(entry: unknown): string | undefined {
  const {uuid} = Object(entry) as {uuid?: unknown};
  return typeof uuid === 'string' ? uuid : undefined;
}
