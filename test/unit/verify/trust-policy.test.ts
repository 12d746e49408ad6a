import {describe, expect, test} from 'vitest';
import {findTrustRule, requireLevel, type TrustRule} from '../../../src/verify/trust-policy.ts';

const rules: TrustRule[] = [
  {url: 'https://images.example.com/', require: 'checksum'},
  {url: 'https://images.example.com/signed', require: 'signature', keyring: '/k'},
  {url: 'https://other.example.com:8443/a', require: 'signature'},
  {url: 'file:///srv/images', require: 'signature'},
];

describe('the rule for a URL', () => {
  test.each([
    ['https://images.example.com/x.raw', 0],
    ['https://images.example.com', 0],
    ['https://images.example.com/signed', 1],
    ['https://images.example.com/signed/x.raw?y', 1],
    ['https://images.example.com/signedness/x.raw', 0],
    ['https://other.example.com:8443/a/b', 2],
    ['https://other.example.com/a/b', undefined],
    ['https://other.example.com:8443/b', undefined],
    ['file:///srv/images/x.raw', 3],
    ['file:///srv/x.raw', undefined],
    ['file:///srv/images/../x.raw', undefined],
    ['not a URL', undefined],
  ])('%s is %s', (url, index) => {
    expect(findTrustRule(rules, url)).toBe(index === undefined ? undefined : rules[index]);
  });

  test.each([
    'http://images.example.com/signed/x.raw',
    'http://images.example.com:80/signed/x.raw',
    'https://user:secret@images.example.com/signed/x.raw',
    'https://IMAGES.example.com/signed/x.raw',
    'https://images.example.com//signed//x.raw',
    'https://images.example.com/%73igned/x.raw',
    'https://images.example.com/other/%2e%2e/signed/x.raw',
    'https://images.example.com/other/../signed/x.raw',
  ])('cannot be walked around by writing %s', (url) => {
    expect(findTrustRule(rules, url)).toBe(rules[1]);
  });

  test('is an error of the configuration when it is for no URL', () => {
    expect(() => findTrustRule([{url: 'https://', require: 'checksum'}], 'https://a/')).toThrow(
      expect.objectContaining({code: 'ConfigError'}),
    );
  });
});

test.each([
  ['none', 'checksum', false],
  ['none', 'signature', false],
  ['checksum', 'checksum', true],
  ['checksum', 'signature', false],
  ['signature', 'checksum', true],
  ['signature', 'signature', true],
] as const)('%s where a %s is asked for is enough: %s', (offered, require, isEnough) => {
  const check = () => requireLevel({url: 'https://a/', require}, offered, 'it');
  if (isEnough) expect(check).not.toThrow();
  else expect(check).toThrow(expect.objectContaining({code: 'VerificationRequired'}));
});
