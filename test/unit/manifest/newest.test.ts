import {describe, expect, it} from 'vitest';
import {compareNewest} from '../../../src/manifest/newest.ts';
import {compareVersions} from '../../../src/manifest/order.ts';

describe('compareNewest', () => {
  it('puts the later publication first, whatever the version', () => {
    const list = [
      {version: '9', published_at: '2016-05-23T10:11:12Z'},
      {version: '1', published_at: '2016-05-23T10:11:12.345Z'},
      {version: '10'},
      {version: '2', published_at: '2017-01-01T00:00:00Z'},
    ];
    expect(list.sort(compareNewest).map(({version}) => version)).toEqual(['2', '1', '9', '10']);
  });

  it('puts the later version first when published at the same time', () => {
    const list = ['1.9.0', '1.10.0', '1.10', '2'].map((version) => ({version, published_at: 'x'}));
    expect(list.sort(compareNewest).map(({version}) => version)).toEqual(['2', '1.10.0', '1.10', '1.9.0']);
  });
});

describe('compareVersions', () => {
  it.each([
    ['1.9', '1.10'],
    ['20240201', '20240202'],
    ['1.2', '1.2.1'],
    ['1.9-rc1', '1.10'],
    ['1.a', '1.b'],
    ['1.0', '1.0-rc1'],
    ['x', '0'],
    ['99999999999999999998', '99999999999999999999'],
  ])('has %s before %s', (earlier, later) => {
    expect(Math.sign(compareVersions(earlier, later))).toBe(-1);
    expect(Math.sign(compareVersions(later, earlier))).toBe(1);
  });

  it('takes leading zeros for nothing', () => {
    expect(compareVersions('1.01', '1.1')).toBe(0);
  });
});
