import {createRequire} from 'node:module';
import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {ImgctlError} from '../../src/errors.ts';
import {fieldRules} from '../../src/manifest/field-rules.ts';
import {knownFields} from '../../src/manifest/fields.ts';
import {parseFilter} from '../../src/manifest/filter.ts';
import {compareVersions} from '../../src/manifest/order.ts';
import {parseManifest} from '../../src/manifest/parse.ts';
import {parseSort, sortRows} from '../../src/manifest/sort.ts';
import {upgradeManifest} from '../../src/manifest/upgrade.ts';
import {type ManifestProblem, type ManifestSet, validateManifest} from '../../src/manifest/validate.ts';

type Fields = Record<string, unknown>;

/** The reference validator. It throws on some inputs; `undefined` then. */
const reference: {
  validateMinimalManifest(manifest: Fields): ManifestProblem[] | null;
  validatePublicManifest(manifest: Fields, options: object): ManifestProblem[] | null;
} = createRequire(import.meta.url)('imgmanifest');

const sets = ['minimal', 'dc', 'public', 'private'] as const satisfies ManifestSet[];
const uuid = fc.constantFrom('2f56d126-20d0-11e6-9e4b-5b0b0d0a1c01', '00000000-0000-0000-0000-000000000000');
/** The reference takes a type or os named like a member of every object for known (spec/manifest.md §2.2). */
const text = fc
  .oneof(fc.string({maxLength: 12}), fc.constantFrom('', 'a', 'lx', 'bhyve'))
  .filter((value) => !(value in {}));
const scalar = fc.oneof(text, fc.integer(), fc.boolean());
const flag = fc.constantFrom(true, false, 'true', 'false');
const platforms = fc.dictionary(text, fc.constantFrom('20130308T102805Z', '20130308', 'x'), {maxKeys: 2});

/** Values a field may really have, then values it may not; both so that the reference has an answer. */
const candidates: Record<string, [good: fc.Arbitrary<unknown>, bad: fc.Arbitrary<unknown>]> = {
  v: [fc.constantFrom(0, 1, 2, '2', 2.5, '', null, true), fc.constantFrom(-1, 'x', '-2')],
  uuid: [uuid, scalar],
  urn: [text, fc.integer()],
  owner: [uuid, scalar],
  name: [fc.stringMatching(/^[A-Za-z0-9._/ -]{1,20}$/), scalar],
  version: [fc.stringMatching(/^[A-Za-z0-9._/+-]{1,20}$/), scalar],
  description: [scalar, fc.constant('x'.repeat(10241))],
  homepage: [fc.constantFrom('http://x', 'HTTPS://x/y', ' http:'), fc.constantFrom('', 'ftp://x', '/x')],
  eula: [fc.constantFrom('http://x', 'hTTps:'), fc.constantFrom('x', `http://${'x'.repeat(1018)}`)],
  disabled: [flag, flag],
  activated: [flag, flag],
  published_at: [fc.constantFrom('2016-05-23T10:11:12Z', '2016-99-99T99:99:99.999Z', '', null), text],
  state: [fc.constantFrom('active', 'unactivated', 'disabled', 'creating', 'failed'), text],
  public: [flag, scalar],
  type: [fc.constantFrom('zone-dataset', 'zvol', 'lx-dataset', 'docker', 'lxd', 'other', 'null'), scalar],
  os: [fc.constantFrom('smartos', 'linux', 'windows', 'bsd', 'illumos', 'other', 'null'), scalar],
  origin: [uuid, scalar],
  error: [fc.constantFrom({message: 'x'}, null, []), scalar],
  files: [
    fc.array(
      fc.record({sha1: fc.constant('x'), size: fc.nat(), compression: fc.constantFrom('gzip', 'xz')}),
      {
        maxLength: 2,
      },
    ),
    fc.oneof(scalar, fc.array(fc.dictionary(fc.constantFrom('sha1', 'size', 'compression', 'z'), scalar))),
  ],
  icon: [flag, flag],
  acl: [fc.array(uuid), fc.oneof(scalar, fc.array(fc.oneof(uuid, scalar)))],
  requirements: [
    fc.constantFrom({}, {brand: 'lx'}, {min_ram: 1, max_ram: 1}, {brand: 'bhyve', bootrom: 'uefi'}),
    fc.record(
      {
        networks: fc.oneof(
          scalar,
          fc.array(fc.dictionary(fc.constantFrom('name', 'description', 'z'), text)),
        ),
        brand: scalar,
        ssh_key: scalar,
        min_ram: fc.oneof(scalar, fc.double({noNaN: true, min: -9, max: 9})),
        max_ram: scalar,
        min_platform: fc.oneof(scalar, platforms),
        max_platform: fc.oneof(scalar, platforms),
        bootrom: fc.oneof(scalar, fc.constantFrom('bios', 'uefi')),
        other: scalar,
      },
      {requiredKeys: []},
    ),
  ],
  users: [
    fc.array(fc.record({name: text})),
    fc.oneof(scalar, fc.array(fc.dictionary(fc.constantFrom('name', 'z'), text))),
  ],
  billing_tags: [fc.array(text), fc.oneof(scalar, fc.array(scalar))],
  traits: [
    fc.dictionary(text, fc.oneof(text, fc.boolean(), fc.array(text))),
    fc.oneof(scalar, fc.dictionary(text, scalar)),
  ],
  tags: [fc.dictionary(text, fc.jsonValue({maxDepth: 2})), fc.oneof(scalar, fc.array(scalar))],
  generate_passwords: [flag, flag],
  inherited_directories: [fc.array(text), fc.oneof(scalar, fc.array(scalar))],
  nic_driver: [text, scalar],
  disk_driver: [text, scalar],
  cpu_type: [text, scalar],
  image_size: [fc.constantFrom(0, -1, 10240, '10240', ''), fc.oneof(scalar, fc.constant(10.5))],
  channels: [fc.array(text), fc.oneof(scalar, fc.array(scalar))],
};

const required = ['v', 'uuid', 'name', 'version', 'type', 'os'];
const rarely = fc.integer({min: 0, max: 15}).map((number) => number === 0);

/** Mostly valid, mostly with few of the optional fields, else hardly any manifest would be valid. */
const plausible: fc.Arbitrary<Fields> = fc
  .tuple(
    ...Object.entries(candidates).map(([name, [good, bad]]) =>
      fc
        .tuple(rarely, rarely, good, bad, fc.integer({min: 0, max: 7}))
        .map(([isBad, isOther, goodValue, badValue, dice]) => {
          const isThere = required.includes(name) ? !isOther : dice === 0;
          return isThere ? [[name, isBad ? badValue : goodValue]] : [];
        }),
    ),
  )
  .map((entries) => Object.fromEntries(entries.flat()));

const server: fc.Arbitrary<Fields> = fc
  .tuple(plausible, uuid, fc.boolean())
  .map(([manifest, owner, activated]) => ({
    ...{owner, disabled: false, activated, public: true, state: 'active', files: []},
    ...{published_at: '2016-05-23T10:11:12Z', channels: ['dev']},
    ...manifest,
  }));

function answerOf(validate: () => ManifestProblem[] | null): ManifestProblem[] | undefined {
  try {
    return validate() ?? [];
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

/** JSON cannot hold -0, and the reference prints it as such. */
const throughJson = <T>(value: T): T => JSON.parse(JSON.stringify(value));

describe('validateManifest and the reference', () => {
  it('agree on minimal manifests: codes, order and texts', () => {
    const counts = {valid: 0, invalid: 0};
    fc.assert(
      fc.property(plausible.map(throughJson), ({channels, ...manifest}) => {
        const theirs = answerOf(() => reference.validateMinimalManifest(manifest));
        const ours = validateManifest(manifest, 'minimal');
        if (theirs) expect(ours).toEqual(theirs);
        else expect(ours).not.toEqual([]);
        counts[ours.length === 0 ? 'valid' : 'invalid']++;
      }),
      {numRuns: 2000},
    );
    expect(Math.min(counts.valid, counts.invalid)).toBeGreaterThan(100);
  });

  it('agree on manifests of a public server, with and without channels', () => {
    const counts = {valid: 0, invalid: 0};
    fc.assert(
      fc.property(server.map(throughJson), fc.boolean(), ({channels, ...rest}, hasChannels) => {
        const manifest = hasChannels ? {...rest, channels} : rest;
        const theirs = answerOf(() =>
          reference.validatePublicManifest(manifest, hasChannels ? {channelFromName: {dev: {}}} : {}),
        );
        const ours = validateManifest(manifest, 'public', hasChannels ? {channelNames: ['dev']} : {});
        if (theirs) expect(ours).toEqual(theirs);
        else expect(ours).not.toEqual([]);
        counts[ours.length === 0 ? 'valid' : 'invalid']++;
      }),
      {numRuns: 2000},
    );
    expect(Math.min(counts.valid, counts.invalid)).toBeGreaterThan(100);
  });
});

const anyField = fc.constantFrom(...Object.keys(fieldRules), 'other', '__proto__');
const anyManifest = fc.oneof(
  fc.jsonValue({maxDepth: 4}),
  fc.array(fc.tuple(anyField, fc.jsonValue({maxDepth: 3}))).map((entries) => Object.fromEntries(entries)),
);

describe('any JSON value whatsoever', () => {
  it('gets an answer from every set of rules', () => {
    fc.assert(
      fc.property(anyManifest, fc.constantFrom(...sets), fc.boolean(), (manifest, set, hasChannels) => {
        const problems = validateManifest(manifest, set, hasChannels ? {channelNames: ['dev']} : {});
        for (const {field, code} of problems) {
          expect(typeof field).toBe('string');
          expect(['MissingParameter', 'Invalid']).toContain(code);
        }
      }),
      {numRuns: 3000},
    );
  });

  it('is upgraded or refused as InvalidManifest, and never changed', () => {
    const v1Field = fc.constantFrom(
      'creator_uuid',
      'restricted_to_uuid',
      'created_at',
      'files',
      'disabled',
      'public',
    );
    const v1 = fc
      .array(fc.tuple(v1Field, fc.jsonValue({maxDepth: 3})))
      .map((entries) => ({uuid: '2f56d126-20d0-11e6-9e4b-5b0b0d0a1c01', ...Object.fromEntries(entries)}));
    fc.assert(
      fc.property(fc.oneof(anyManifest, v1), (manifest) => {
        const before = JSON.stringify(manifest);
        try {
          expect(Number(upgradeManifest(manifest).v)).toBeGreaterThanOrEqual(2);
        } catch (error) {
          expect(error).toMatchObject({name: 'ImgctlError', code: 'InvalidManifest'});
        }
        expect(JSON.stringify(manifest)).toBe(before);
      }),
      {numRuns: 2000},
    );
  });

  it('survives filters and sorting by every field', () => {
    const names = fc.constantFrom(...knownFields.map(({name}) => name));
    const rows = fc.array(anyManifest.map((manifest) => ({manifest: Object(manifest) as Fields})));
    fc.assert(
      fc.property(rows, names, fc.constantFrom('=', '=~', '!='), text, (list, name, operator, operand) => {
        expect(sortRows(list, parseSort(`-${name}`))).toHaveLength(list.length);
        expect(list.filter(parseFilter(`${name}${operator}${operand}`).matches).length).toBeLessThanOrEqual(
          list.length,
        );
      }),
    );
  });
});

describe('any text', () => {
  it('parses or is refused with an error of ours', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), fc.uint8Array()), (input) => {
        try {
          parseManifest(input, 'fuzz');
        } catch (error) {
          expect(error).toBeInstanceOf(ImgctlError);
        }
      }),
    );
  });

  it('is a filter and a sort order, or a usage error', () => {
    const names = fc.constantFrom(...knownFields.map(({name}) => name), 'x');
    const operators = fc.constantFrom('=', '=~', '!=', '>=', '.', '');
    const input = fc.tuple(names, operators, fc.string()).map((parts) => parts.join(''));
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), input),
        fc.constantFrom(parseFilter, parseSort),
        (argument, parse) => {
          try {
            parse(argument);
          } catch (error) {
            expect(error).toMatchObject({name: 'ImgctlError', code: 'Usage'});
          }
        },
      ),
      {numRuns: 1000},
    );
  });

  it('has one place in the order of versions', () => {
    const version = fc.oneof(fc.stringMatching(/^[0-9a.-]{0,6}$/), fc.string());
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        expect(Math.sign(compareVersions(a, b))).toBe(0 - Math.sign(compareVersions(b, a)));
        if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0) {
          expect(compareVersions(a, c)).toBeLessThanOrEqual(0);
        }
      }),
      {numRuns: 2000},
    );
  });
});
