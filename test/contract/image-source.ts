/**
 * What every source of images keeps to (src/sources/source.ts), whatever it speaks. Run once per type, and again
 * behind the verified doorway.
 */
import {buffer} from 'node:stream/consumers';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import type {ImageManifest} from '../../src/manifest/manifest.ts';
import {upgradeManifest} from '../../src/manifest/upgrade.ts';
import type {ImageSource, SourceFile} from '../../src/sources/source.ts';
import {uuidFor} from '../support/catalogs.ts';

export interface SourceUnderTest {
  source: ImageSource;
  /** Active images on offer, each with a file. */
  images: {manifest: ImageManifest; content: Buffer}[];
  /** An image that is there but not active. */
  unactivated: ImageManifest;
  /** Makes an image's file another one of that content, if the place can do that. */
  replaceFile?(uuid: string, content: Buffer): Promise<void>;
  /** Adds an active image. */
  add(name: string): Promise<void>;
  /** Nobody answers from now on. */
  stop(): Promise<void>;
  close(): Promise<void>;
}

export function imageSourceContract(open: () => Promise<SourceUnderTest>): void {
  let place: SourceUnderTest;
  let source: ImageSource;

  beforeEach(async () => {
    place = await open();
    source = place.source;
  });
  afterEach(() => place.close());

  function first(): {manifest: ImageManifest; content: Buffer} {
    return place.images[0]!;
  }

  async function bytes(file: SourceFile): Promise<Buffer> {
    return buffer(file.body);
  }

  test('answers a ping; refuses one with SourcePing when it is gone', async () => {
    await source.ping();
    await place.stop();
    await expect(source.ping()).rejects.toMatchObject({code: 'SourcePing', retryable: true});
  });

  describe('a listing', () => {
    test('has every active image once, and no other', async () => {
      const listing = await source.listImages();
      const uuids = listing?.manifests.map(({uuid}) => uuid).sort();
      expect(uuids).toEqual(place.images.map(({manifest}) => manifest.uuid).sort());
      expect(listing?.warnings).toEqual([]);
    });

    test('is not sent again while it is the same, when the source gave a validator', async () => {
      const {validator} = (await source.listImages())!;
      if (validator === undefined) return;
      expect(await source.listImages({validator})).toBeUndefined();
      await place.add('later');
      const changed = await source.listImages({validator});
      expect(changed?.manifests).toHaveLength(place.images.length + 1);
      expect(await source.listImages({validator: '"never given"'})).toBeDefined();
    });
  });

  describe('an image', () => {
    test('is found by its UUID, in any state; one that is not there is undefined', async () => {
      const {uuid} = first().manifest;
      expect(upgradeManifest(await source.findImage(uuid))).toMatchObject({uuid, state: 'active'});
      const {uuid: other, state} = place.unactivated;
      expect(upgradeManifest(await source.findImage(other))).toMatchObject({uuid: other, state});
      expect(await source.findImage(uuidFor('not there'))).toBeUndefined();
    });

    test('that nobody can be asked for is an error, never "not there"', async () => {
      await place.stop();
      const asking = source.findImage(first().manifest.uuid);
      await expect(asking).rejects.toMatchObject({code: 'ClientError', retryable: true});
    });
  });

  describe('a file', () => {
    test('comes whole, with its size', async () => {
      const {manifest, content} = first();
      const file = await source.openFile(manifest.uuid);
      expect([file.offsetBytes, file.totalBytes]).toEqual([0, content.length]);
      expect((await bytes(file)).equals(content)).toBe(true);
    });

    test('comes from any offset up to its end, with or without the validator', async () => {
      const {manifest, content} = first();
      const {validator, body} = await source.openFile(manifest.uuid);
      body.destroy();
      for (const offsetBytes of [1, 777, content.length - 1, content.length]) {
        for (const condition of [{}, ...(validator === undefined ? [] : [{validator}])]) {
          const file = await source.openFile(manifest.uuid, {offsetBytes, ...condition});
          expect([0, offsetBytes]).toContain(file.offsetBytes);
          expect(file.totalBytes).toBe(content.length);
          expect((await bytes(file)).equals(content.subarray(file.offsetBytes))).toBe(true);
        }
      }
    });

    test('comes from the start when the validator is not its own', async () => {
      const {manifest, content} = first();
      const file = await source.openFile(manifest.uuid, {offsetBytes: 10, validator: '"never given"'});
      expect(file.offsetBytes).toBe(0);
      expect((await bytes(file)).equals(content)).toBe(true);
    });

    test('comes from the start when it was asked for behind its end', async () => {
      const {manifest, content} = first();
      const file = await source.openFile(manifest.uuid, {offsetBytes: content.length + 1});
      expect(file.offsetBytes).toBe(0);
      expect((await bytes(file)).equals(content)).toBe(true);
    });

    test('that is another one by now is told by the validator', async () => {
      if (!place.replaceFile) return;
      const {manifest, content} = first();
      const {validator, body} = await source.openFile(manifest.uuid);
      body.destroy();
      if (validator === undefined) return;
      const other = Buffer.from(content).fill(7);
      await place.replaceFile(manifest.uuid, other);
      const file = await source.openFile(manifest.uuid, {offsetBytes: 10, validator});
      expect(file.offsetBytes).toBe(0);
      expect((await bytes(file)).equals(other)).toBe(true);
    });

    test('of an image that is not there is an error, and so is one of a source that is gone', async () => {
      const error = await source.openFile(uuidFor('not there')).catch((caught) => caught);
      expect(error).toMatchObject({name: expect.stringMatching(/Error$/), retryable: false});
      await place.stop();
      await expect(source.openFile(first().manifest.uuid)).rejects.toMatchObject({
        code: 'ClientError',
        retryable: true,
      });
    });
  });

  test('every call ends by its signal, with the reason', async () => {
    const signal = AbortSignal.abort(new Error('the reason'));
    const {uuid} = first().manifest;
    const calls = [
      () => source.listImages({signal}),
      () => source.findImage(uuid, {signal}),
      () => source.openFile(uuid, {signal}),
    ];
    for (const call of calls) await expect(call()).rejects.toThrow('the reason');
    const controller = new AbortController();
    const {body} = await source.openFile(uuid, {signal: controller.signal});
    controller.abort(new Error('the reason'));
    await expect(buffer(body)).rejects.toThrow('the reason');
  });
}
