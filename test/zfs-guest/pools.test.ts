/**
 * Pools of type zfs against real ZFS: the steps run in the guest, one after the other, and each test looks at what came of
 * some. What is imported are recorded streams, so that what ZFS mounts can be compared with what their snapshots held.
 */
import {cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {
  expectSameLines,
  recordedTree,
  recordedVolume,
  sortedTree,
  type TreeLine,
} from '../support/zfs-stream.ts';
import {type Outcome, runInGuest} from './guest.ts';
import {disk, diskChanges, publishStreams, writeInputs} from './pool-inputs.ts';
import {poolSteps} from './pool-steps.ts';

let directory: string;
let base: string;
let changed: string;
let outcomes: Map<string, Outcome>;

beforeAll(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-zfs-guest-'));
  const inputs = path.join(directory, 'in');
  mkdirSync(inputs);
  const published = await publishStreams(path.join(inputs, 'server'));
  ({base, changed} = published);
  writeInputs(inputs, published);
  outcomes = runInGuest(poolSteps(published), {inputs, outputs: path.join(directory, 'out')});
  if (process.env.IMGCTL_ZFS_GUEST_KEEP)
    cpSync(path.join(directory, 'out'), process.env.IMGCTL_ZFS_GUEST_KEEP, {recursive: true});
});
afterAll(() => rmSync(directory, {recursive: true, force: true}));

function outcome(name: string): Outcome {
  const found = outcomes.get(name);
  if (!found) throw new Error(`No step is called ${name}`);
  return found;
}

/** The output of a step that has to go well. */
function output(name: string): string {
  const {status, stdout, stderr} = outcome(name);
  expect({name, status, stderr: status === 0 ? '' : stderr}).toEqual({name, status: 0, stderr: ''});
  return stdout;
}

function linesOf(name: string): TreeLine[] {
  const lines = output(name).trim().split('\n');
  return sortedTree(lines.map((line) => JSON.parse(line)));
}

function refusal(name: string): {status: number; stdout: string; stderr: string} {
  const {status, stdout, stderr} = outcome(name);
  return {status, stdout, stderr};
}

test('doctor tells of zfs and of the pool', () => {
  const lines = outcome('doctor').stdout.split('\n');
  expect(lines.find((line) => / zfs /.test(line))).toMatch(/^ok\s+zfs\s+zfs-2/);
  expect(lines.find((line) => line.includes('pool tank'))).toMatch(
    /^ok\s+pool tank\s+"tank\/images" of ZFS: instances are clones; .* free$/,
  );
});

test('an image and its origin are imported as datasets, one over the other, read-only and not mounted', () => {
  expect(output('import')).toContain(`Imported image ${changed} (changed@1.0.0)`);
  const rows = output('datasets').trim().split('\n').sort();
  expect(rows).toEqual(
    [
      'tank/images\tfilesystem\t-\toff\tyes',
      `tank/images/${base}\tfilesystem\t-\ton\tno`,
      `tank/images/${base}@final\tsnapshot\t-\t-\t-`,
      `tank/images/${changed}\tfilesystem\ttank/images/${base}@final\ton\tno`,
      `tank/images/${changed}@final\tsnapshot\t-\t-\t-`,
    ].sort(),
  );
  const listed = JSON.parse(output('list')) as {manifest: {uuid: string}; zpool: string}[];
  expect(listed.map(({manifest: {uuid}, zpool}) => [uuid, zpool]).sort()).toEqual(
    [
      [base, 'tank'],
      [changed, 'tank'],
    ].sort(),
  );
});

describe('a clone', () => {
  test('holds what the snapshot of the stream held', () => {
    expect(output('clone')).toContain('/tank/images/web1');
    expectSameLines(linesOf('tree'), recordedTree('fs-plain'));
  });

  test('of changes holds what theirs held', () => {
    expectSameLines(linesOf('treeOfChanges'), recordedTree('fs-incr'));
  });

  test('is told with everything else that depends on the image, whoever made it', () => {
    const {zpool, children} = JSON.parse(output('get'));
    expect(zpool).toBe('tank');
    expect(children.snapshots).toEqual([`tank/images/${base}@extra`]);
    expect(children.clones.sort()).toEqual([`tank/${changed}`, 'tank/aside', 'tank/web1'].sort());
  });

  test('keeps its image from being deleted', () => {
    expect(refusal('deleteRefused')).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(
        /ImageHasDependentClones.*has dependent clones: tank\/web1 and 2 others\.\.\./,
      ),
    });
  });

  test('has a name that a dataset can have, and that is free', () => {
    const {stderr} = outcome('refuseName');
    expect(stderr).toContain(
      'error (InvalidArgument): "a b" cannot be the name of a dataset in "tank/images"',
    );
    expect(stderr).toContain('error (InstanceExists): instance "web1" already exists');
  });
});

test('an instance that cannot be mounted is none', () => {
  expect(outcome('unmountable')).toMatchObject({
    status: 1,
    stdout: '',
    stderr: expect.stringMatching(/error \(\w+\): Cloning .* failed: .*not empty/),
  });
});

describe('an image that is made of an instance', () => {
  test('is a stream, whole or of changes, and leaves no snapshot', () => {
    expect(output('createIncremental')).toBe('incr.imgmanifest\nincr.zfs.gz\np\n');
    expect(JSON.parse(outcome('createIncremental').stderr)).toMatchObject({
      origin: base,
      type: 'zone-dataset',
    });
    expect(JSON.parse(outcome('createIncremental').stderr).tags).toBeUndefined();
    expect(outcome('create').stdout).toBe(
      'incr.imgmanifest\nincr.zfs.gz\np\nwhole.imgmanifest\nwhole.zfs.xz\n',
    );
  });

  test('of changes goes over its origin again, and is what the instance was', () => {
    const lines = linesOf('installCreated');
    expect(outcome('installCreated').stderr).toContain(`tank/images/${base}@final`);
    expectSameLines(lines, linesOf('change'));
  });

  test('is unpacked into a directory as what the instance was', () => {
    expectSameLines(linesOf('installCreatedInDirectory'), linesOf('change'));
  });
});

test('an instance that a process runs in is not sent', () => {
  expect(refusal('runningInstance')).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(/error \(VmNotStopped\).*\n.*used by process \d+/),
  });
});

test('an image whose snapshot is mounted is not deleted, and then it is', () => {
  expect(refusal('mountedSnapshot')).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(/error \(ImageInUse\): .* is in use: mounted at "\/mnt\/snap"/),
  });
  expect(outcome('delete')).toMatchObject({status: 1, stdout: expect.stringMatching(/^Deleted image .*\n$/)});
});

describe('disks', () => {
  test('are volumes, their clones devices with what was sent', () => {
    expect(output('disks').trim().split('\n').sort()).toEqual(
      [`tank/images/${disk}\t-`, `tank/images/${diskChanges}\ttank/images/${disk}@final`].sort(),
    );
    // The images themselves have no devices.
    expect(output('diskClones')).toMatch(/\ndisk1\ndisk1-part1\ndisk2\ndisk2-part1\n$/);
    const sums = (name: string) =>
      JSON.parse(readFileSync(path.join(directory, 'out', `${name}.json`), 'utf8'));
    expect(sums('disk1')).toEqual(recordedVolume('zvol-8K'));
    expect(sums('disk2')).toEqual(recordedVolume('zvol-8K-incr'));
  });

  test('in use are not sent, others are', () => {
    expect(refusal('diskInUse')).toMatchObject({status: 1, stderr: expect.stringContaining('VmNotStopped')});
    const text = output('createDisk');
    expect(text).toContain('disk.zvol\n');
    expect(text).toContain(`"origin": "${diskChanges}"`);
    expect(text).toContain('"image_size": 32');
  });
});

describe('what cannot be received', () => {
  const cases: [step: string, code: string, text: string, status: number][] = [
    ['refuseTar', 'NotSupported', 'the file holds tar, which is no ZFS stream', 1],
    ['refuseEncrypted', 'NotSupported', 'it is encrypted', 1],
    [
      'refuseSeveral',
      'UnexpectedNumberOfSnapshots',
      'unexpected number of snapshots (2): @final, @second',
      1,
    ],
    ['refuseCut', 'InvalidArchive', 'truncated', 1],
    ['refuseFlipped', 'InvalidArchive', 'checksum does not match', 1],
    ['refuseOtherOrigin', 'OriginNotInstalled', 'made from another origin', 3],
  ];
  test.each(cases)('%s: is refused by name and leaves nothing', (step, code, text, status) => {
    const {stdout, stderr, status: actual} = outcome(step);
    expect([actual, stdout]).toEqual([status, '']);
    expect(stderr).toContain(`error (${code})`);
    expect(stderr).toContain(text);
  });
});

test('properties in a stream are left out, and nothing is mounted', () => {
  expect(output('properties').split('\n')).toEqual([
    '/tank/images/66666666-6666-4666-8666-666666666666',
    'noauto',
    '-',
    'on',
    'tank/images/66666666-6666-4666-8666-666666666666@final',
    'no',
    '',
  ]);
});

test('an import that is killed shows nothing, and the next one clears up and ends well', () => {
  expect(output('kill').split('\n')).toEqual([
    'started: killed',
    'half: killed',
    'late: killed',
    expect.stringMatching(/^tank\/images\/77777777-\S+\t/),
    '',
  ]);
});

test('an import that is interrupted leaves nothing', () => {
  expect(outcome('cancel')).toMatchObject({status: 130, stdout: expect.not.stringContaining('partial')});
});

test('what a killed process left is swept, but not what another root is at', () => {
  expect(outcome('leftSnapshot').stdout).toBe('tank/images/web1@imgctl-partial-00000000-0123456789abcdef\n');
  expect(outcome('leftSnapshot').stderr).not.toContain('partial');
});

test('an image that can be written is made read-only by update', () => {
  expect(outcome('update').stdout).toMatch(new RegExp(`Made image ${changed} read-only\\non\\n$`));
});
