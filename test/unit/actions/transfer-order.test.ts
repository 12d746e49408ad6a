import {describe, expect, test} from 'vitest';
import {importdRefusal, importdWords} from '../../../src/actions/importd-words.ts';
import {
  makeTransferOrder,
  type TransferChoices,
  type TransferVerb,
} from '../../../src/actions/transfer-order.ts';
import {ImgctlError} from '../../../src/errors.ts';

const choices: TransferChoices = {
  imageClass: 'machine',
  verify: 'signature',
  force: false,
  readOnly: false,
  keepDownload: undefined,
  format: undefined,
};

function order(verb: TransferVerb, words: string[], more: Partial<TransferChoices> = {}) {
  return makeTransferOrder(verb, words, {...choices, ...more});
}

function refusal(verb: TransferVerb, words: string[], more: Partial<TransferChoices> = {}): string {
  try {
    order(verb, words, more);
  } catch (error) {
    return (error as Error).message;
  }
  return 'accepted';
}

describe('the local name', () => {
  test.each([
    ['pull-raw', ['http://h/a/disk.raw.img.xz?x=1#y'], 'disk'],
    ['pull-raw', ['http://h/disk', 'mine.raw'], 'mine'],
    ['pull-tar', ['http://h/root.tar.xz'], 'root'],
    ['pull-tar', ['http://h/root.txz'], 'root.txz'],
    ['pull-raw', ['http://h/disk.raw', '-'], undefined],
    ['import-raw', ['/srv/disk.qcow2'], 'disk'],
    ['import-raw', ['disk.raw', '-'], 'disk'],
    ['import-tar', ['-', 'web.tar.gz'], 'web'],
    ['import-fs', ['/srv/tree.tar/'], 'tree.tar'],
    ['export-raw', ['disk.raw', 'f'], 'disk.raw'],
  ] as const)('%s %j is for %s', (verb, words, name) => {
    expect(order(verb, [...words]).localName).toBe(name);
  });
});

describe('an order', () => {
  test('keeps the download for machines only, unless told', () => {
    expect(order('pull-raw', ['http://h/x']).keepDownload).toBe(true);
    expect(order('pull-raw', ['http://h/x'], {imageClass: 'sysext'}).keepDownload).toBe(false);
    expect(order('pull-raw', ['http://h/x'], {imageClass: 'sysext', keepDownload: true}).keepDownload).toBe(
      true,
    );
  });

  test('compresses an export as its file is called, or as told', () => {
    expect(order('export-raw', ['d', 'd.raw.zst']).compression).toBe('zstd');
    expect(order('export-raw', ['d', 'd.raw.zst'], {format: 'xz'}).compression).toBe('xz');
    expect(order('export-raw', ['d'])).toMatchObject({compression: 'uncompressed', remote: '-'});
  });

  test.each([
    ['pull-raw', ['ftp://h/x'], "URL 'ftp://h/x' is not valid."],
    ['pull-raw', ['http://h/'], 'Failed to get final component of URL: Cannot assign requested address'],
    ['pull-raw', ['http://h/x', 'a/b'], 'Local name a/b is not a suitable image name.'],
    ['import-raw', ['-'], 'Need either path or local name.'],
    ['import-raw', ['dir/'], "Path 'dir/' refers to directory, but we need a regular file."],
    ['export-raw', ['a/b'], 'Image name a/b is not valid.'],
  ] as const)('%s %j is refused', (verb, words, text) => {
    expect(refusal(verb, [...words])).toBe(text);
  });

  test('needs a class before anything else', () => {
    expect(refusal('pull-raw', ['ftp://h/x'], {imageClass: undefined})).toMatch(
      /^No image class specified, retry with/,
    );
  });
});

describe('failures in the words of importd', () => {
  const pull = order('pull-raw', ['http://h/d.raw']);
  const cases: [string, ImgctlError, string[]][] = [
    ['a cancellation', new ImgctlError('Interrupted', 'x'), ['Transfer aborted.']],
    ['bad data', new ImgctlError('UncompressionError', 'x'), ['Failed to decode and write: Bad message']],
    [
      'a bad qcow2',
      new ImgctlError('InvalidArchive', 'x', {details: {format: 'qcow2', errno: 'EIO'}}),
      ['Failed to convert qcow2 image: Input/output error'],
    ],
    [
      'no archive',
      new ImgctlError('InvalidArchive', 'x', {details: {format: 'tar', fault: 'unrecognized'}}),
      [
        'Failed to initialize archive context: Unrecognized archive format',
        "'tar' failed with exit status 1.",
      ],
    ],
    ['anything else', new ImgctlError('NoSpace', 'no room'), ['no room']],
  ];
  test.each(cases)('%s', (_what, error, lines) => {
    expect(importdWords(error, pull)).toEqual(lines);
  });

  test('an export of the wrong kind', () => {
    const error = new ImgctlError('InvalidArgument', 'x', {details: {errno: 'EISDIR'}});
    expect(importdWords(error, order('export-raw', ['d']))).toEqual([
      'Failed to export image: Is a directory',
    ]);
  });

  test('a transfer that did not begin', () => {
    expect(importdRefusal(new ImgctlError('ImageAlreadyExists', 'x'), pull)).toBe(
      "Image 'd' already exists.",
    );
    expect(importdRefusal(new ImgctlError('FileSystem', 'x'), pull)).toBe('Failed to transfer image: x');
  });
});
