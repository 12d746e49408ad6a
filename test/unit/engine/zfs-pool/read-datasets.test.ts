import {expect, test} from 'vitest';
import {parseDatasets} from '../../../../src/engine/zfs-pool/read-datasets.ts';

const image = 'tank/images/11111111-1111-4111-8111-111111111111';
const disk = 'tank/images/22222222-2222-4222-8222-222222222222';
const partial = 'imgctl-partial-00000000-0123456789abcdef';

/** As zfs 2.1.11 printed them. */
const images = [
  'tank/images	filesystem	/tank/images	off	1795287517	149504	-',
  `${image}	filesystem	/${image}	on	1795287518	24576	-`,
  `${disk}	volume	-	on	1795287520	12288	8388608`,
  `tank/images/${partial}	filesystem	/tank/images/${partial}	off	1795287522	24576	-`,
  'tank/images/unplaced	filesystem	none	off	1795287523	24576	-',
  'tank/images/web1	filesystem	/tank/images/web1	off	1795287519	38912	-',
  '',
].join('\n');
const snapshots = [
  `${image}@final	tank/images/web1`,
  `${image}@extra	tank/aside`,
  `tank/images/web1@${partial}	-`,
  '',
].join('\n');

test('datasets of a pool are images and instances, with what was cloned from them', () => {
  const stored = parseDatasets({imageClass: 'machine', dataset: 'tank/images'}, images, snapshots);
  const common = {imageClass: 'machine', modifiedUs: 0, limitBytes: undefined};
  const none = {snapshots: [], clones: []};
  expect(stored).toEqual([
    {
      ...common,
      name: '11111111-1111-4111-8111-111111111111',
      type: 'directory',
      path: `/${image}`,
      readOnly: true,
      createdUs: 1795287518e6,
      usageBytes: 24576,
      zfs: {dataset: image, snapshots: [`${image}@extra`], clones: ['tank/images/web1', 'tank/aside']},
    },
    {
      ...common,
      name: '22222222-2222-4222-8222-222222222222',
      type: 'block',
      path: `/dev/zvol/${disk}`,
      // It has no snapshot that could be an image.
      readOnly: false,
      createdUs: 1795287520e6,
      usageBytes: 12288,
      limitBytes: 8388608,
      zfs: {dataset: disk, ...none},
    },
    {
      ...common,
      name: 'unplaced',
      type: 'directory',
      path: 'tank/images/unplaced',
      readOnly: false,
      createdUs: 1795287523e6,
      usageBytes: 24576,
      zfs: {dataset: 'tank/images/unplaced', ...none},
    },
    {
      ...common,
      name: 'web1',
      type: 'directory',
      path: '/tank/images/web1',
      readOnly: false,
      createdUs: 1795287519e6,
      usageBytes: 38912,
      zfs: {dataset: 'tank/images/web1', ...none},
    },
  ]);
});
