import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {Readable} from 'node:stream';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import type {ImageManifest} from '../../../src/manifest/manifest.ts';
import type {ImageSource, SourceFile, SourceListing} from '../../../src/sources/source.ts';
import {verifiedSource} from '../../../src/sources/verified.ts';
import {manifestFor, uuidFor} from '../../support/catalogs.ts';
import {openCache} from '../../support/fetches.ts';
import {pattern, sha1Of} from '../../support/file-server.ts';

const url = 'http://user:secret@images.invalid/base?token=secret';
const shownUrl = 'http://***@images.invalid/base?token=***';
const content = pattern(5000);

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-verified-'));
});
afterEach(() => rmSync(directory, {recursive: true, force: true}));

/** A source that says what the test wants: no check of its own, as `ImageSource` allows. */
function answering(answers: {
  listing?: Partial<SourceListing> | undefined;
  image?: unknown;
  body?: Buffer;
}): ReturnType<typeof verifiedSource> {
  const source: ImageSource = {
    settings: {url, type: 'imgapi'},
    ping: async () => undefined,
    listImages: async () =>
      answers.listing && {manifests: [], validator: undefined, warnings: [], ...answers.listing},
    findImage: async () => answers.image,
    openFile: async (): Promise<SourceFile> => {
      const body = answers.body ?? content;
      return {body: Readable.from([body]), offsetBytes: 0, totalBytes: body.length, validator: undefined};
    },
  };
  return verifiedSource(source, openCache(directory, {retries: 0}));
}

function withFile(file: object): ImageManifest {
  return manifestFor('a', {files: [file]} as unknown as Partial<ImageManifest>);
}

describe('a listing', () => {
  test('that did not change stays unchanged', async () => {
    expect(await answering({listing: undefined}).listImages({validator: '"v"'})).toBeUndefined();
  });

  test('keeps valid manifests in order and leaves out the others, with a warning each', async () => {
    const bad = [null, 'text', {}, manifestFor('b', {name: ''}), {...manifestFor('c'), v: 'x'}];
    const manifests = [manifestFor('a'), ...bad, manifestFor('d')] as ImageManifest[];
    const listing = await answering({
      listing: {manifests, validator: '"v"', warnings: ['first']},
    }).listImages();
    expect(listing?.manifests.map(({name}) => name)).toEqual(['a', 'd']);
    expect(listing?.validator).toBe('"v"');
    expect(listing?.warnings).toHaveLength(1 + bad.length);
    expect(listing?.warnings[0]).toBe('first');
    expect(listing?.warnings[4]).toContain(`image "${uuidFor('b')}" of source "${shownUrl}" left out: `);
    expect(listing?.warnings.join('\n')).not.toContain('secret');
  });
});

describe('a manifest', () => {
  test('comes through as it is, and version 1 as version 2', async () => {
    const manifest = manifestFor('a', {description: 'kept'});
    expect(await answering({image: manifest}).findImage(manifest.uuid)).toEqual(manifest);
    expect(await answering({}).findImage(manifest.uuid)).toBeUndefined();
    const old = {...manifest, v: 1, creator_uuid: manifest.owner, owner: undefined};
    const {owner: _, ...version1} = old;
    const upgraded = await answering({image: version1}).findImage(manifest.uuid);
    expect(upgraded).toMatchObject({v: 2, uuid: manifest.uuid, owner: manifest.owner});
  });

  test('of another image is refused', async () => {
    await expect(answering({image: manifestFor('b')}).findImage(uuidFor('a'))).rejects.toMatchObject({
      code: 'InvalidManifest',
      message: `source "${shownUrl}" answered with the manifest of image "${uuidFor('b')}" when asked for "${uuidFor('a')}"`,
    });
  });

  test.each([
    ['a text', 'text'],
    ['a list', []],
    ['null', null],
    ['an object without fields', {}],
    ['a manifest without a name', {...manifestFor('a'), name: undefined}],
    ['a manifest with a UUID that is a path', manifestFor('a', {uuid: '../../etc'})],
  ])('that is %s is refused, and the source is named', async (_name, image) => {
    await expect(answering({image}).findImage(uuidFor('a'))).rejects.toMatchObject({
      code: 'InvalidManifest',
      message: expect.stringContaining(`"${shownUrl}"`),
    });
  });
});

describe('a file', () => {
  const right = {sha1: sha1Of(content), size: content.length, compression: 'none'};

  test('has the size and the digest of its manifest, whatever the case it is written in', async () => {
    const manifest = withFile({...right, sha1: right.sha1.toUpperCase()});
    const file = await answering({}).fetchFile(manifest);
    expect(readFileSync(file.path).equals(content)).toBe(true);
    await file.release();
  });

  test.each([
    ['a path as its sha1', {...right, sha1: '../../../../etc/passwd'}],
    ['a sha1 with a line break', {...right, sha1: `${right.sha1}\n`}],
    ['no sha1', {...right, sha1: undefined}],
    ['a number as its sha1', {...right, sha1: 7}],
    ['no size', {...right, size: undefined}],
    ['a size of zero', {...right, size: 0}],
    ['a size that is a text', {...right, size: '5000'}],
    ['a size beyond counting', {...right, size: 2 ** 60}],
  ])('with %s is refused before anything is asked', async (_name, file) => {
    await expect(answering({}).fetchFile(withFile(file))).rejects.toMatchObject({code: 'InvalidManifest'});
  });

  test('is refused when the manifest has none', async () => {
    for (const files of [undefined, []]) {
      const manifest = manifestFor('a', files && {files});
      await expect(answering({}).fetchFile(manifest)).rejects.toMatchObject({
        code: 'DownloadError',
        message: `image ${manifest.uuid} has no file in source "${shownUrl}"`,
      });
    }
  });

  test('that is not what the manifest says is refused without telling the secrets of the URL', async () => {
    const error = await answering({body: pattern(5000, 'other')})
      .fetchFile(withFile(right))
      .catch((caught) => caught);
    expect(error).toMatchObject({code: 'DownloadError', details: {url: shownUrl}});
    expect(JSON.stringify([error.message, error.hint, error.details])).not.toContain('secret');
  });
});
