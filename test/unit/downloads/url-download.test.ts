/** Downloads of which only the URL is known, from sources that never get done; pulls test the rest. */
import {mkdtempSync, readdirSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {Readable} from 'node:stream';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import type {OpenedFile} from '../../../src/downloads/fetch-request.ts';
import type {UrlFile} from '../../../src/downloads/url-download.ts';
import {ImgctlError} from '../../../src/errors.ts';
import {openCache} from '../../support/fetches.ts';
import {pattern} from '../../support/file-server.ts';

const url = 'http://images.example/disk.raw';
const content = pattern(10_000);

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-url-download-'));
});
afterEach(() => rmSync(directory, {recursive: true, force: true}));

/** Sends the bytes from an offset, then breaks. */
function* broken(from: number, to: number): Generator<Buffer> {
  yield content.subarray(from, to);
  throw new ImgctlError('ClientError', 'the line broke', {retryable: true});
}

interface Outcome {
  asked: number[];
  bytes: Buffer;
}

/** Fetches with two retries from a source that answers the n-th question as told. */
async function fetchFrom(
  answer: (offsetBytes: number, question: number) => Partial<OpenedFile>,
): Promise<Outcome> {
  const asked: number[] = [];
  const download = await openCache(directory).openUrl(url);
  try {
    const file = await download.fetch({
      maxBytes: 1 << 20,
      open: async ({offsetBytes}) => {
        asked.push(offsetBytes);
        if (asked.length > 50) throw new Error('The source was asked for ever');
        const {body = Readable.from([content.subarray(offsetBytes)]), ...told} = answer(
          offsetBytes,
          asked.length,
        );
        return {body, offsetBytes, totalBytes: content.length, validator: '"one"', ...told};
      },
    });
    return {asked, bytes: readFileSync((file as UrlFile).fd)};
  } catch (error) {
    throw Object.assign(error as Error, {asked});
  } finally {
    await download.close({isDone: true});
    expect(readdirSync(path.join(directory, 'downloads'))).toEqual([]);
  }
}

describe('a source that', () => {
  test('sends the middle when asked for the whole file is refused', async () => {
    await expect(fetchFrom(() => ({offsetBytes: 7}))).rejects.toMatchObject({
      code: 'DownloadError',
      message: `"${url}" began at byte 7 when asked for the whole file`,
      asked: [0],
    });
  });

  test('has another file each time it is asked is given up', async () => {
    const outcome = fetchFrom((_offset, question) => ({
      body: Readable.from(broken(0, 1000)),
      offsetBytes: 0,
      validator: `"${question}"`,
    }));
    await expect(outcome).rejects.toMatchObject({message: 'the line broke', asked: [0, 1000, 1000]});
  });

  test('breaks again and again but comes further is asked on', async () => {
    const {asked, bytes} = await fetchFrom((offset) =>
      offset < 9000 ? {body: Readable.from(broken(offset, offset + 1000))} : {},
    );
    expect(asked).toHaveLength(10);
    expect(bytes.equals(content)).toBe(true);
  });
});
