import {expect, test} from 'vitest';
import {normaliseUrl, parseSourceUrl} from '../../../src/imgapi/source-url.ts';

test.each([
  ['images.example', 'http://images.example'],
  ['https://images.example/', 'https://images.example'],
  ['https://IMAGES.example:443/base/', 'https://images.example/base'],
  ['http://h:80/base/', 'http://h/base'],
  ['https://h:80', 'https://h:80'],
  ['https://h/?channel=dev', 'https://h?channel=dev'],
  ['http://user:pw@h/', 'http://user:pw@h'],
  ['http://[::1]:8080/', 'http://[::1]:8080'],
])('%s is compared as %s', (text, expected) => {
  expect(normaliseUrl(text)).toBe(expected);
  expect(normaliseUrl(normaliseUrl(text))).toBe(expected);
});

test('the channel is split off and the rest of the query kept', () => {
  expect(parseSourceUrl('https://h/base/?channel=dev&x=1')).toEqual({
    base: 'https://h/base',
    channel: 'dev',
    query: [['x', '1']],
  });
  expect(parseSourceUrl('h').channel).toBeUndefined();
});

test.each(['http://', 'ftp://h', 'docker://x', ''])('"%s" is not a source URL', (text) => {
  expect(() => parseSourceUrl(text)).toThrow(`source URL "${text}" is not an http or https URL`);
});
