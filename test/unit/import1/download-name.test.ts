import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {
  downloadName,
  escapeForName,
  etagOfName,
  hashOfUrl,
  unescapeName,
} from '../../../src/import1/download-name.ts';
import {sipHash24} from '../../../src/import1/siphash.ts';

const machines = '/var/lib/machines';

test('SipHash-2-4 gives the values of its paper', () => {
  const key = Buffer.from(Array.from({length: 16}, (_, index) => index));
  const message = Buffer.from(Array.from({length: 64}, (_, index) => index));
  // Appendix A of the paper, and the first and last vector of its reference implementation.
  expect(sipHash24(message.subarray(0, 15), key)).toBe(0xa129ca6149be45e5n);
  expect(sipHash24(message.subarray(0, 0), key)).toBe(0x726fdb47dd0e0e31n);
  expect(sipHash24(message.subarray(0, 63), key)).toBe(0x958a324ceb064572n);
});

describe('the name of a download copy', () => {
  test('is the escaped URL and validator', () => {
    const name = downloadName(machines, {
      format: 'raw',
      url: 'http://127.0.0.1:8080/a.raw',
      etag: '"bfeea0c8"',
      suffix: '.raw',
    });
    expect(name).toBe(String.raw`.raw-http:\x2f\x2f127\x2e0\x2e0\x2e1:8080\x2fa\x2eraw.\x22bfeea0c8\x22.raw`);
  });

  test('has a hash of the URL when it would be too long', () => {
    const url = `http://127.0.0.1:8080/${'x'.repeat(200)}/b.raw`;
    const parts = {format: 'raw', url, etag: '"e"', suffix: '.raw'} as const;
    expect(downloadName(machines, parts)).toBe(String.raw`.raw-bf5ac961e713ec4.\x22e\x22.raw`);
    expect(hashOfUrl(url.replace('8080/', '8080/noetag/'))).toBe('613db688ca9587');
  });

  test('is hashed from a path of 240 bytes on', () => {
    const parts = {format: 'tar', etag: undefined, suffix: ''} as const;
    const fixed = `${machines}/.tar-`.length + escapeForName('http://h/').length;
    const url = (length: number) => `http://h/${'x'.repeat(length - fixed)}`;
    expect(downloadName(machines, {...parts, url: url(239)})).toContain('xxx');
    expect(downloadName(machines, {...parts, url: url(240)})).toMatch(/^\.tar-[0-9a-f]{1,16}$/);
  });

  test('tells its validator, whatever URL and validator are', () => {
    const text = fc.string({unit: 'grapheme', maxLength: 300});
    const etag = fc.string({unit: 'grapheme', minLength: 1, maxLength: 20});
    fc.assert(
      fc.property(text, etag, fc.constantFrom('raw' as const, 'tar' as const), (url, tag, format) => {
        const parts = {format, url, suffix: format === 'raw' ? '.raw' : ''};
        const name = downloadName(machines, {...parts, etag: tag});
        expect(name).not.toContain('/');
        expect(etagOfName(name, parts)).toBe(tag);
      }),
    );
  });

  test('of another URL, format or file tells nothing', () => {
    const parts = {format: 'raw', url: 'http://h/a.raw', suffix: '.raw'} as const;
    const others = [
      downloadName(machines, {...parts, etag: undefined}),
      downloadName(machines, {...parts, etag: '"e"', suffix: '.roothash'}),
      downloadName(machines, {...parts, etag: '"e"', url: 'http://h/a.raw2'}),
      downloadName(machines, {...parts, etag: '"e"', format: 'tar'}),
      'image.raw',
    ];
    for (const name of others) expect(etagOfName(name, parts)).toBeUndefined();
    expect(etagOfName(`.raw-${escapeForName(parts.url)}.a\\x2.raw`, parts)).toBeUndefined();
    expect(unescapeName('a/b')).toBe('a/b');
  });
});
