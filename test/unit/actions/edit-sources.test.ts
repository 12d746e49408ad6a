import {expect, test} from 'vitest';
import {editableText, parseSources} from '../../../src/actions/edit-sources.ts';
import {isSameSource, sourceText} from '../../../src/actions/sources.ts';
import type {SourceSettings} from '../../../src/sources/source.ts';

const smartos: SourceSettings = {url: 'https://images.smartos.org', type: 'imgapi'};
const lab: SourceSettings = {
  url: 'http://lab/datasets',
  type: 'dsapi',
  insecure: true,
  channel: 'dev',
  name: 'lab',
};

test('the text has a line a source, padded, and explains itself in comments', () => {
  const [first, second, third, ...comments] = editableText([smartos, lab]).split('\n');
  expect([first, second, third]).toEqual([
    'https://images.smartos.org  imgapi',
    'http://lab/datasets         dsapi   insecure',
    '',
  ]);
  expect(comments.every((line) => line === '' || line.startsWith('#'))).toBe(true);
});

test('a URL longer than 50 characters does not widen the column', () => {
  const long = {...smartos, url: `http://${'h'.repeat(60)}`};
  expect(editableText([smartos, long]).split('\n')[0]).toBe(`${smartos.url.padEnd(50)}  imgapi`);
});

test('what was written comes back as it was, with what the text cannot say', () => {
  const sources = [smartos, lab];
  expect(parseSources(editableText(sources), sources)).toEqual(sources);
});

test('comments and blank lines are dropped, and the type may be left out', () => {
  const text = '\n# all\n  http://a # first\n\thttp://b\tdsapi\t,insecure,\n';
  expect(parseSources(text, [])).toEqual([
    {url: 'http://a', type: 'imgapi'},
    {url: 'http://b', type: 'dsapi', insecure: true},
  ]);
});

test('a source written twice is there once', () => {
  expect(parseSources('http://a\nhttp://A:80/\n', [])).toEqual([{url: 'http://a', type: 'imgapi'}]);
});

test.each([
  ['http://a imgapi blah', 'Usage', 'unknown source option: blah'],
  ['http://a imgapi insecure,blah', 'Usage', 'unknown source option: blah'],
  ['http://a imgapi insecure more', 'Usage', 'unexpected text in image sources: "more"'],
  ['http://a docker', 'NotSupported', 'docker is not supported: image source "http://a"'],
  ['ftp://a', 'InvalidArgument', 'source URL "ftp://a" is not an http or https URL'],
])('the line "%s" is refused', (line, code, message) => {
  expect(() => parseSources(line, [])).toThrow(expect.objectContaining({code, message}));
});

test('sources are the same by normalised URL, type, insecure and channel', () => {
  expect(isSameSource(smartos, {...smartos, url: 'https://IMAGES.smartos.org:443/', insecure: false})).toBe(
    true,
  );
  expect(isSameSource(smartos, {...smartos, name: 'other'})).toBe(true);
  expect(isSameSource(smartos, {...smartos, url: 'https://images.smartos.org?channel=dev'})).toBe(false);
  expect(isSameSource(smartos, {...smartos, insecure: true})).toBe(false);
  expect(isSameSource(smartos, {...smartos, channel: 'dev'})).toBe(false);
  expect(isSameSource(lab, {...lab, type: 'imgapi'})).toBe(false);
});

test('a source is written with what is special about it', () => {
  expect(sourceText(smartos)).toBe('"imgapi" image source "https://images.smartos.org"');
  expect(sourceText(lab)).toBe('"dsapi" image source "http://lab/datasets" (insecure) (channel=dev)');
});
