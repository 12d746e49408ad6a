import {ImgctlError} from '../errors.ts';
import type {ImageManifest} from '../manifest/manifest.ts';
import {UuidSet} from './uuid-set.ts';

/** The size of a page a server with a limit answers with (spec/imgapi.md §3.2). */
export const pageSize = 1000;

export interface PagesRead {
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

export interface CollectedPages extends PagesRead {
  /** Raw answers, each an object with a `uuid` text; nothing else is checked. No UUID twice. */
  manifests: ImageManifest[];
}

/** What a server answers with, some entries at a time. */
export type Page = Iterable<unknown[]> | AsyncIterable<unknown[]>;

/**
 * Reads every page after `first`, and gives what is new to `take` as it comes. Servers are not trusted to page well: ones that
 * ignore markers or limits, repeat images or serve more than they should end the reading, at the latest after `maxImages`.
 */
export async function readPages(
  first: Page,
  options: {
    fetchPage: (marker: string) => Promise<Page>;
    maxImages: number;
    take: (manifests: ImageManifest[]) => void;
  },
): Promise<PagesRead> {
  const collector = new Collector(options.maxImages, options.take);
  const firstFacts = await collector.read(first);
  let page = firstFacts;
  let marker: string | undefined;
  while (page.length >= pageSize && page.news > 0) {
    if (page.last === undefined || page.last === marker) break;
    marker = page.last;
    page = await collector.read(await options.fetchPage(marker));
  }
  if (marker !== undefined && page.length === pageSize)
    collector.warnAboutEnd(page, marker, firstFacts.length);
  const isFull = firstFacts.length > 0 && firstFacts.length % pageSize === 0;
  return {
    warnings: collector.warnings,
    isOnePage: collector.count <= firstFacts.length,
    cutAfter: isFull ? firstFacts.last : undefined,
  };
}

/** The same for pages that are whole already. */
export async function collectPages(
  first: unknown[],
  options: {fetchPage: (marker: string) => Promise<unknown[]>; maxImages: number},
): Promise<CollectedPages> {
  const manifests: ImageManifest[] = [];
  const read = await readPages([first], {
    maxImages: options.maxImages,
    fetchPage: async (marker) => [await options.fetchPage(marker)],
    take(some) {
      for (const manifest of some) manifests.push(manifest);
    },
  });
  return {...read, manifests};
}

/** What a later call needs to know that nothing changed; undefined when the ETag of the first page cannot tell. */
export function validatorFor(
  etag: string | undefined,
  {isOnePage, cutAfter}: Pick<PagesRead, 'isOnePage' | 'cutAfter'>,
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
export async function bringsNothing(page: Page, marker: string): Promise<boolean> {
  for await (const entries of page) if (entries.some((entry) => uuidOf(entry) !== marker)) return false;
  return true;
}

interface PageFacts {
  length: number;
  /** How many images it had that no page before it had. */
  news: number;
  /** Of its last entry. */
  last: string | undefined;
  /** When its images were published; of several times, two. */
  dates: Set<unknown>;
}

class Collector {
  readonly warnings: string[] = [];
  readonly #seen = new UuidSet();
  readonly #maxImages: number;
  readonly #take: (manifests: ImageManifest[]) => void;

  constructor(maxImages: number, take: (manifests: ImageManifest[]) => void) {
    this.#maxImages = maxImages;
    this.#take = take;
  }

  /** Images so far. */
  get count(): number {
    return this.#seen.size;
  }

  /** Takes over what is new. */
  async read(page: Page): Promise<PageFacts> {
    const facts: PageFacts = {length: 0, news: -this.#seen.size, last: undefined, dates: new Set()};
    for await (const entries of page) {
      facts.length += entries.length;
      if (entries.length > 0) facts.last = uuidOf(entries.at(-1));
      for (const entry of entries)
        if (facts.dates.size < 2) facts.dates.add((Object(entry) as Partial<ImageManifest>).published_at);
      this.#take(entries.filter((entry) => this.#isNew(entry)) as ImageManifest[]);
    }
    facts.news += this.#seen.size;
    return facts;
  }

  /** The reading ended at a full page: the marker could not be passed, or the server does not know markers. */
  warnAboutEnd({length, dates}: PageFacts, marker: string, firstLength: number): void {
    if (dates.size === 1) {
      this.#warnOnce(
        `the listing stops after image ${marker}: ${length} images share one published_at; more may follow`,
      );
    } else if (firstLength === pageSize) {
      this.#warnOnce('the server seems to ignore markers; the listing may stop at its page limit');
    }
  }

  #isNew(entry: unknown): boolean {
    const uuid = uuidOf(entry);
    if (uuid === undefined) {
      this.#warnOnce('an entry of the listing without a "uuid" is left out');
      return false;
    }
    if (this.#seen.has(uuid)) return false;
    if (this.#seen.size >= this.#maxImages) {
      throw new ImgctlError('LimitExceeded', `listing has more than ${this.#maxImages} images`);
    }
    this.#seen.add(uuid);
    return true;
  }

  #warnOnce(text: string): void {
    if (!this.warnings.includes(text)) this.warnings.push(text);
  }
}

function uuidOf(entry: unknown): string | undefined {
  const {uuid} = Object(entry) as {uuid?: unknown};
  return typeof uuid === 'string' ? uuid : undefined;
}
