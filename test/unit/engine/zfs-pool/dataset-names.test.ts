import {describe, expect, test} from 'vitest';
import {childDataset, isTemporary, TemporaryNames} from '../../../../src/engine/zfs-pool/dataset-names.ts';
import {receiveArguments} from '../../../../src/engine/zfs-pool/receive.ts';
import {sendArguments} from '../../../../src/engine/zfs-pool/send.ts';

const uuid = '11111111-1111-4111-8111-111111111111';

describe('the name of a dataset', () => {
  test('is below that of the pool', () => {
    expect(childDataset('tank/images', uuid)).toBe(`tank/images/${uuid}`);
    expect(childDataset('tank', 'web_1.2:a')).toBe('tank/web_1.2:a');
  });

  test.each([
    '',
    '-rf',
    '.',
    '..',
    'a/b',
    'a@b',
    'a#b',
    'a b',
    'a%b',
    'ü',
    'a\nb',
    '.hidden',
    'x'.repeat(250),
  ])('is not %j', (name) => {
    expect(() => childDataset('tank/images', name)).toThrow(
      `${JSON.stringify(name)} cannot be the name of a dataset in "tank/images"`,
    );
  });

  test('is not that of work in progress', () => {
    const name = new TemporaryNames('/run/imgctl').make();
    expect(() => childDataset('tank', name)).toThrow('cannot be the name of a dataset');
  });
});

describe('temporary names', () => {
  const [ours, others] = [new TemporaryNames('/run/imgctl'), new TemporaryNames('/elsewhere/run/imgctl')];

  test('are never the same, and are told from those of another root', () => {
    const name = ours.make();
    expect(ours.make()).not.toBe(name);
    expect([isTemporary(name), ours.isOurs(name), others.isOurs(name)]).toEqual([true, true, false]);
    expect(isTemporary(others.make())).toBe(true);
  });

  test('are no names that somebody would choose', () => {
    for (const name of ['imgctl-partial-', 'imgctl-partial-1', uuid, 'final'])
      expect(isTemporary(name)).toBe(false);
  });
});

describe('arguments of zfs', () => {
  test('of recv leave an image unmounted and read-only, over its origin', () => {
    expect(receiveArguments('file system', 'tank/x@final', undefined)).toEqual(
      'recv -u -o readonly=on -o canmount=noauto tank/x@final'.split(' '),
    );
    expect(receiveArguments('volume', 'tank/x@final', 'tank/base@final')).toEqual(
      'recv -u -o readonly=on -o volmode=none -o origin=tank/base@final tank/x@final'.split(' '),
    );
  });

  test('of send are those of imgadm', () => {
    expect(sendArguments('tank/web1@now', undefined)).toEqual(['send', 'tank/web1@now']);
    expect(sendArguments('tank/web1@now', 'tank/base@final')).toEqual(
      'send -i tank/base@final tank/web1@now'.split(' '),
    );
  });
});
