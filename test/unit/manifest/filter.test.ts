import {describe, expect, it} from 'vitest';
import type {ImageRow} from '../../../src/manifest/fields.ts';
import {parseFilter} from '../../../src/manifest/filter.ts';

const row: ImageRow = {
  manifest: {
    name: 'base-64',
    version: '1.10.0',
    public: true,
    disabled: 'true',
    published_at: '2016-05-23T10:11:12.345Z',
    image_size: 10240,
    files: [{size: 500_000_000}],
    channels: ['dev', 'staging'],
    requirements: {brand: 'lx', min_ram: 512},
    tags: {role: 'web', quoted: 'a=b', empty: '', nothing: null},
  },
  source: 'https://images.test/',
};

describe('parseFilter', () => {
  it.each([
    // text, whether the row passes
    ['name=base-64', true],
    ['name=base', false],
    ['image_size=10240', true],
    ['requirements.brand=lx', true],
    ['tags.role=web', true],
    ['tags.quoted=a=b', true],
    ['tags.empty=', true],
    ['tags.nothing=null', false],
    ['source=https://images.test/', true],
    ['channels=["dev","staging"]', true],
    ['public=true', true],
    ['public=false', false],
    ['disabled=true', false],
    ['os=linux', false],
    ['name=~64', true],
    ['name=~', true],
    ['name=~zzz', false],
    ['channels=~dev', true],
    ['channels=~de', false],
    ['image_size=~10', false],
    ['os=~l', false],
    ['name!=base', true],
    ['name!=base-64', false],
    ['public!=true', false],
    ['os!=linux', false],
    ['version>=1.9', true],
    ['version>=1.10.0', true],
    ['version>=1.10.0.1', false],
    ['published_at>=2016', true],
    ['published_at>=2016-05-23', true],
    ['published_at>=2016-05-24', false],
    ['published_at>=2016-05-23T10:11:12Z', true],
    ['published_at>=2016-05-23T10:11:12.345Z', true],
    ['published_date>=2016-06', false],
    ['size>=500000000', true],
    ['size>=500MB', true],
    ['size>=500M', false],
    ['size>=476.8MiB', true],
    ['size>=0.4G', true],
    ['size>=500000001B', false],
    ['image_size>=10240', true],
    ['image_size>=10240.5', false],
    ['requirements.min_ram>=512', true],
    ['requirements.min_ram>=513', false],
    ['tags.role>=1', false],
    ['clones>=0', false],
  ])('%s: %j', (text, passes) => {
    expect(parseFilter(text).matches(row)).toBe(passes);
  });

  it.each([
    ['foo', 'invalid filter: "foo" (must be of the form "field=value")'],
    ['', 'invalid filter: "" (must be of the form "field=value")'],
    ['=x', 'invalid filter: "=x" (must be of the form "field=value")'],
    ['>=x', 'invalid filter: ">=x" (must be of the form "field=value")'],
    ['nme=x', 'unknown field "nme"; did you mean "name"?'],
    ['name>=x', 'invalid filter: "name>=x" (">=" is for sizes, dates, versions and numbers)'],
    ['tags>=1', 'invalid filter: "tags>=1" (">=" is for sizes, dates, versions and numbers)'],
    ['size>=big', 'invalid filter: "size>=big" (the value must be a size, like 500M)'],
    ['size>=', 'invalid filter: "size>=" (the value must be a size, like 500M)'],
    ['image_size>=10G', 'invalid filter: "image_size>=10G" (the value must be a number)'],
    ['published_at>=May', 'invalid filter: "published_at>=May" (the value must be a date, like 2026-04-17)'],
  ])('refuses %j', (text, message) => {
    expect(() => parseFilter(text)).toThrow(expect.objectContaining({code: 'Usage', message}));
  });
});
