import {readFileSync} from 'node:fs';
import {describe, expect, it} from 'vitest';
import schema from '../../../schemas/manifest.schema.json' with {type: 'json'};
import {fieldRules} from '../../../src/manifest/field-rules.ts';
import {type ManifestSet, validateManifest} from '../../../src/manifest/validate.ts';
import {fixturePath} from '../../fixtures-dir.ts';

interface Expected {
  valid: boolean;
  errors: {field: string; code: string; message?: string}[];
}

interface ManifestCase {
  name: string;
  validator: ManifestSet;
  manifest: unknown;
  options?: {channelFromName?: Record<string, unknown>};
}

const fixtures: {
  cases: (ManifestCase & Expected)[];
  crash_cases: (ManifestCase & {required: Expected})[];
} = JSON.parse(readFileSync(fixturePath('spec', 'fixtures', 'manifest-cases.json'), 'utf8'));

function run({manifest, validator, options}: ManifestCase): Expected {
  const channels = options?.channelFromName;
  const errors = validateManifest(manifest, validator, channels ? {channelNames: Object.keys(channels)} : {});
  return {valid: errors.length === 0, errors};
}

const minimal = {
  v: 2,
  uuid: '2f56d126-20d0-11e6-9e4b-5b0b0d0a1c01',
  name: 'base',
  version: '1.0.0',
  type: 'zone-dataset',
  os: 'smartos',
};

describe('the reference validator', () => {
  it('gave the cases this suite was written for', () => {
    expect([fixtures.cases.length, fixtures.crash_cases.length]).toEqual([204, 15]);
  });

  it.each(fixtures.cases)('is matched in codes, order and texts: $name', (testCase) => {
    expect(run(testCase)).toEqual({valid: testCase.valid, errors: testCase.errors});
  });

  it.each(fixtures.crash_cases)('is not followed into its crash: $name', (testCase) => {
    expect(run(testCase)).toEqual(testCase.required);
  });
});

describe('validateManifest', () => {
  it('knows the fields of the schema, in the same order', () => {
    expect(Object.keys(fieldRules)).toEqual(Object.keys(schema.properties));
  });

  it.each([null, true, 0, 'text', [], [minimal]])(
    'answers one problem for what is no object: %j',
    (value) => {
      expect(validateManifest(value, 'minimal')).toEqual([
        {field: 'manifest', code: 'Invalid', message: 'manifest is not a JSON object'},
      ]);
    },
  );

  it('does not take arrays or objects for the text they would turn into', () => {
    const odd = {...minimal, uuid: [minimal.uuid], name: ['base'], version: {}, type: ['zvol']};
    expect(validateManifest(odd, 'minimal').map(({field}) => field)).toEqual([
      'uuid',
      'name',
      'version',
      'type',
    ]);
  });

  it('does not take names every object has for known values or fields', () => {
    const odd = {...minimal, type: 'constructor', os: 'toString', hasOwnProperty: 1};
    const withProto = JSON.parse(JSON.stringify(odd).replace('{', '{"__proto__":1,'));
    expect(validateManifest(withProto, 'minimal').map(({field}) => field)).toEqual([
      'type',
      'os',
      '__proto__',
      'hasOwnProperty',
    ]);
  });

  it('checks present fields of a server set in its order, required or not', () => {
    const manifest = {...minimal, urn: 5, nic_driver: 'x', published_at: 'x', activated: false};
    expect(validateManifest(manifest, 'public').map(({field}) => field)).toEqual([
      ...['owner', 'disabled', 'published_at', 'public', 'state', 'nic_driver', 'urn'],
    ]);
  });

  it('lists ten thousand unknown fields', () => {
    const extra = Object.fromEntries(Array.from({length: 10_000}, (_, index) => [`x${index}`, 1]));
    const problems = validateManifest({...minimal, ...extra}, 'minimal');
    expect(problems).toHaveLength(10_000);
    expect(problems.at(-1)).toEqual({field: 'x9999', code: 'Invalid'});
  });

  it('stops listing where only a hostile manifest gets', () => {
    expect(validateManifest({...minimal, users: Array(300_000).fill(0)}, 'minimal')).toHaveLength(20_000);
  });

  it('repeats only the beginning of a long value', () => {
    const [problem] = validateManifest({...minimal, users: 'x'.repeat(100_000)}, 'minimal');
    expect(problem?.message).toHaveLength('invalid image "users" (not an array): '.length + 1001);
  });

  it('refuses nesting no manifest needs', () => {
    const tags = JSON.parse(`${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`);
    expect(validateManifest({...minimal, tags}, 'minimal')).toEqual([
      {field: 'manifest', code: 'Invalid', message: 'manifest is nested too deeply'},
    ]);
  });

  it('counts the characters of tags as JSON', () => {
    const sized = (length: number) => ({...minimal, tags: {x: 'y'.repeat(length - '{"x":""}'.length)}});
    expect(validateManifest(sized(102400), 'minimal')).toEqual([]);
    expect(validateManifest(sized(102401), 'minimal')).toEqual([
      {
        field: 'tags',
        code: 'Invalid',
        message: 'image "tags" object is too big: 102401 characters (max 102400)',
      },
    ]);
  });
});
