import {expect, test} from 'vitest';
import type {ImageManifest} from '../../../src/manifest/manifest.ts';
import {checkPlatform} from '../../../src/manifest/platform.ts';

const ours = '7.0/20240101T000000Z';
const image = (requirements?: Record<string, unknown>): ImageManifest => ({
  v: 2,
  uuid: '11111111-1111-4111-8111-111111111111',
  name: 'a',
  version: '1',
  type: 'other',
  os: 'other',
  ...(requirements && {requirements}),
});

test.each([
  [undefined],
  [{}],
  [{min_platform: {}}],
  [{min_platform: {'7.0': '20240101T000000Z'}, max_platform: {'7.0': '20240101T000000Z'}}],
  [{min_platform: {'6.5': '20300101T000000Z'}}],
  [{max_platform: {'8.0': '20100101T000000Z'}}],
  [{min_platform: 'not a map'}],
])('an image that asks for %j runs here', (requirements) => {
  checkPlatform(image(requirements), ours);
});

test.each([
  ['MinPlatform', 'min_platform', {'7.0': '20240102T000000Z'}],
  ['MinPlatform', 'min_platform', {'7.1': '20240101T000000Z', '8.0': '20240101T000000Z'}],
  ['MaxPlatform', 'max_platform', {'7.0': '20231231T000000Z'}],
  ['MaxPlatform', 'max_platform', {'6.0': '20300101T000000Z', '6.5': '20300101T000000Z'}],
])('%s: an image that asks for %s %j is refused', (code, field, map) => {
  expect(() => checkPlatform(image({[field]: map}), ours)).toThrow(
    expect.objectContaining({
      code,
      message: `current platform version, ${ours}, does not satisfy requirements.${field}=${JSON.stringify(map)}`,
    }),
  );
});
