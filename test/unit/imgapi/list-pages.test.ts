import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {collectPages} from '../../../src/imgapi/list-pages.ts';

interface Entry {
  uuid: string;
  published_at: string;
}

function images(count: number, dateOf: (index: number) => number = (index) => index): Entry[] {
  return Array.from({length: count}, (_, index) => ({
    uuid: `uuid-${index}`,
    published_at: new Date(dateOf(index) * 1000).toISOString(),
  }));
}

/** A server by the book: from the marker's date on, at most 1000. */
function byTheBook(all: Entry[], limit = 1000): (marker?: string) => Promise<Entry[]> {
  return async (marker) => {
    const from = all.find((entry) => entry.uuid === marker)?.published_at ?? '';
    return all.filter((entry) => entry.published_at >= from).slice(0, limit);
  };
}

async function collect(fetchPage: (marker?: string) => Promise<unknown[]>, maxImages = 10_000) {
  let requests = 0;
  const counted = async (marker?: string) => {
    requests += 1;
    return fetchPage(marker);
  };
  const result = await collectPages(await counted(), {fetchPage: counted, maxImages});
  return {...result, requests, uuids: result.manifests.map(({uuid}) => uuid)};
}

describe('collectPages', () => {
  test.each([
    [0, 1],
    [999, 1],
    [1000, 2],
    [1001, 2],
    [2500, 3],
  ])('reads %i images in %i requests', async (count, requests) => {
    const all = images(count);
    const result = await collect(byTheBook(all));
    expect(result.uuids).toEqual(all.map(({uuid}) => uuid));
    expect([result.requests, result.warnings]).toEqual([requests, []]);
    expect(result.isOnePage).toBe(count <= 1000);
    if (result.isOnePage) expect(result.cutAfter).toBe(count === 1000 ? 'uuid-999' : undefined);
  });

  test('images that share the marker date come twice and are dropped by UUID', async () => {
    const arbitrary = [fc.integer({min: 1, max: 400}), fc.integer({min: 0, max: 3000})] as const;
    const property = fc.asyncProperty(...arbitrary, async (run, count) => {
      const all = images(count, (index) => Math.floor(index / run));
      const result = await collect(byTheBook(all));
      expect(result.uuids).toEqual(all.map(({uuid}) => uuid));
      expect(result.warnings).toEqual([]);
    });
    await fc.assert(property, {numRuns: 20});
  });

  test('a server that ignores limit and marker is read once more and believed', async () => {
    const all = images(1500);
    const result = await collect(async () => all);
    expect([result.uuids.length, result.requests, result.warnings]).toEqual([1500, 2, []]);
    expect(result.isOnePage).toBe(true);
  });

  test('a server that ignores the marker but has a limit ends with a warning', async () => {
    const result = await collect(async () => images(1000));
    expect([result.uuids.length, result.requests]).toEqual([1000, 2]);
    expect(result.warnings).toEqual([
      'the server seems to ignore markers; the listing may stop at its page limit',
    ]);
  });

  test('a full page of one published_at ends with a warning that says where', async () => {
    const result = await collect(byTheBook(images(1500, () => 5)));
    expect([result.uuids.length, result.requests]).toEqual([1000, 2]);
    expect(result.warnings).toEqual([
      'the listing stops after image uuid-999: 1000 images share one published_at; more may follow',
    ]);
  });

  test('a marker that repeats ends the reading', async () => {
    let call = 0;
    const last = {uuid: 'last', published_at: 'z'};
    const result = await collect(async () => {
      call += 1;
      const page = images(999).map((entry) => ({...entry, uuid: `${entry.uuid}-${call}`}));
      return [...page, last];
    });
    expect([result.requests, result.uuids.length]).toEqual([2, 1999]);
    expect(result.warnings).toHaveLength(1);
  });

  test('a server that never ends is stopped at the limit', async () => {
    let call = 0;
    const endless = async () => {
      call += 1;
      return images(1000).map((entry) => ({...entry, uuid: `${entry.uuid}-${call}`}));
    };
    await expect(collect(endless, 3500)).rejects.toMatchObject({
      code: 'LimitExceeded',
      message: 'listing has more than 3500 images',
    });
    expect(call).toBe(4);
  });

  test('entries without a UUID are left out with one warning', async () => {
    const result = await collect(async () => [null, 3, {uuid: 4}, {uuid: 'a', extra: true}]);
    expect(result.manifests).toEqual([{uuid: 'a', extra: true}]);
    expect(result.warnings).toEqual(['an entry of the listing without a "uuid" is left out']);
  });
});
