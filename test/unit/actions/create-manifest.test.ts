import {describe, expect, test} from 'vitest';
import {
  diskDefaults,
  draftManifest,
  filePrefix,
  parseFields,
  parseGiven,
  treeDefaults,
} from '../../../src/actions/create-manifest.ts';
import {deltaTag} from '../../../src/actions/delta.ts';
import {parseOsRelease} from '../../../src/instances/os-release.ts';
import type {ImageManifest} from '../../../src/manifest/manifest.ts';

const uuid = '11111111-1111-4111-8111-111111111111';
const origin: ImageManifest = {
  v: 2,
  uuid: '22222222-2222-4222-8222-222222222222',
  name: 'base',
  version: '1',
  type: 'lx-dataset',
  os: 'linux',
  description: 'the base',
  billing_tags: [],
  users: [{name: 'root'}],
  image_size: 10,
};

describe('fields on the command line', () => {
  test('are JSON where they can be, and text otherwise', () => {
    expect(parseFields(['tags={"a":1}', 'public=true', 'image_size=20', 'note=some text', 'x=a=b'])).toEqual({
      tags: {a: 1},
      public: true,
      image_size: 20,
      note: 'some text',
      x: 'a=b',
    });
  });

  test('that are text keep what was typed, and may be quoted as JSON', () => {
    expect(parseFields(['version=1.10', 'name=true', 'description="2"', 'eula=', 'os=null'])).toEqual({
      version: '1.10',
      name: 'true',
      description: '2',
      eula: '',
      os: 'null',
    });
  });

  test.each(['foo', '=foo', ''])('%j is refused', (text) => {
    expect(() => parseFields([text])).toThrow(
      `invalid manifest field arg "${text}": must match "<field>=<value>"`,
    );
  });
});

test('a manifest that is no object is refused, and says where it was', () => {
  expect(() => parseGiven('3', 'on stdin')).toThrow('invalid manifest JSON on stdin: not a JSON object');
});

describe('the draft', () => {
  const draft = (inputs: Partial<Parameters<typeof draftManifest>[0]> = {}) =>
    draftManifest({
      ...{given: {}, uuid, origin, defaults: {}, delta: undefined},
      isIncremental: inputs.delta !== undefined,
      ...inputs,
    });

  test('takes given fields first, then those of the origin, then defaults', () => {
    const defaults = {type: 'other', name: 'from-os-release', image_size: 30};
    expect(draft({given: {os: 'bsd', v: 3}, defaults})).toEqual({
      v: 3,
      uuid,
      os: 'bsd',
      type: 'lx-dataset',
      users: [{name: 'root'}],
      image_size: 10,
      name: 'from-os-release',
    });
  });

  test('takes what the user said to be nothing for an answer', () => {
    expect(draft({given: {users: []}}).users).toEqual([]);
  });

  test('marks an incremental image, beside the tags that were given', () => {
    const marked = draft({given: {tags: {role: 'web'}}, delta: 'oci-layer'});
    expect(marked).toMatchObject({origin: origin.uuid, tags: {role: 'web', [deltaTag]: 'oci-layer'}});
  });

  test('does not pass on the marks and files of the manifest it was given', () => {
    const {tags, files} = draft({given: {tags: {role: 'web', [deltaTag]: 'qcow2'}, files: [{}]}});
    expect({tags, files}).toEqual({tags: {role: 'web'}, files: undefined});
  });
});

test('os-release gives what it has, as a shell would read it', () => {
  const release = parseOsRelease(
    `ID=debian\nVERSION_ID='12'\n# x\nPRETTY_NAME="Debian \\"12\\""\nHOME_URL="javascript:x"\nid=no\nBUILD_ID=7\n`,
  );
  expect(treeDefaults(release)).toEqual({
    name: 'debian',
    version: '12',
    type: 'lx-dataset',
    os: 'linux',
    description: 'Debian "12"',
  });
});

test('a disk is as large as it is, in whole mebibytes', () => {
  expect(diskDefaults(3 * 2 ** 20 + 1)).toMatchObject({type: 'zvol', image_size: 4});
});

test.each([
  ['My Img', '1.0.0', 'my-img-1.0.0'],
  ['a - b/c', 'V+1', 'a-bc-v1'],
  ['  x ', '1 2', 'x-1-2'],
  [undefined, undefined, 'undefined-undefined'],
])('files of %j %j are named %j', (name, version, prefix) => {
  expect(filePrefix({name, version} as unknown as ImageManifest)).toBe(prefix);
});
