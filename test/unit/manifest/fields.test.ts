import {describe, expect, it} from 'vitest';
import schema from '../../../schemas/manifest.schema.json' with {type: 'json'};
import {
  checkField,
  fieldValue,
  type ImageRow,
  isTextField,
  knownFields,
  parseFieldList,
} from '../../../src/manifest/fields.ts';

const row: ImageRow = {
  manifest: {
    uuid: '2f56d126-20d0-11e6-9e4b-5b0b0d0a1c01',
    type: 'docker',
    published_at: '2016-05-23T10:11:12.345Z',
    files: [{sha1: 'x', size: 46271847}],
    requirements: {brand: 'lx', min_ram: 512},
    source: 'not the source',
    tags: {
      role: 'web',
      'a.b': {c: 1},
      'docker:id': 'sha256:0123456789abcdef',
      'docker:repo': 'library/busybox',
      'docker:tag:latest': true,
      'docker:tag:1.2': true,
    },
  },
  source: 'https://images.test/',
  zpool: 'zones',
  clones: 2,
};

const usage = (message: string) => expect.objectContaining({code: 'Usage', message});

describe('knownFields', () => {
  it('holds the fields of the schema, with its order and titles, before the computed ones', () => {
    const described = Object.entries(schema.properties).map(([name, {title}]) => [name, title]);
    const own = knownFields.filter(({compute}) => !compute).map(({name, meaning}) => [name, meaning]);
    expect(own).toEqual(described);
  });

  it('holds every field of the 2014 list', () => {
    const names2014 = [
      ...['source', 'uuid', 'owner', 'name', 'version', 'state', 'disabled', 'public', 'published'],
      ...['published_at', 'published_date', 'type', 'os', 'urn', 'nic_driver', 'disk_driver', 'cpu_type'],
      ...['image_size', 'generate_passwords', 'description', 'clones', 'zpool'],
    ];
    expect(knownFields.map(({name}) => name)).toEqual(expect.arrayContaining(names2014));
  });
});

describe('fieldValue', () => {
  it.each([
    ['published_date', '2016-05-23'],
    ['pub', '2016-05-23'],
    ['published', '2016-05-23T10:11:12Z'],
    ['published_at', '2016-05-23T10:11:12.345Z'],
    ['source', 'https://images.test/'],
    ['zpool', 'zones'],
    ['clones', 2],
    ['size', 46271847],
    ['docker_id', 'sha256:0123456789abcdef'],
    ['docker_short_id', '0123456789ab'],
    ['docker_repo', 'library/busybox'],
    ['docker_tags', ['latest', '1.2']],
    ['docker_tags.1', '1.2'],
    ['requirements.brand', 'lx'],
    ['tags.role', 'web'],
    ['tags.a.b', {c: 1}],
    ['files.0.sha1', 'x'],
    ['name', undefined],
    ['requirements.brand.length', undefined],
    ['requirements.constructor', undefined],
    ['tags.nobody.home', undefined],
  ])('of %s is %j', (path, value) => {
    expect(fieldValue(row, path)).toEqual(value);
  });

  it('is undefined for everything an orphan lacks', () => {
    const orphan = {manifest: {uuid: 'u'}};
    for (const {name} of knownFields) {
      if (name !== 'uuid') expect(fieldValue(orphan, name)).toBeUndefined();
    }
  });

  it('has docker fields only for docker images', () => {
    expect(fieldValue({manifest: {...row.manifest, type: 'zvol'}}, 'docker_repo')).toBeUndefined();
  });
});

describe('checkField', () => {
  it.each(['name', 'tags.x', 'tags.a.b', 'requirements.brand', 'files.0.size', 'docker_tags'])(
    'takes %s',
    (path) => {
      expect(checkField(path).name).toBe(path.split('.')[0]);
    },
  );

  it.each([
    ['vresion', 'unknown field "vresion"; did you mean "version"?'],
    [
      'publ',
      'unknown field "publ"; did you mean "pub" or "public" or "published_at" or "published_date" or "published"?',
    ],
    [
      'docker',
      'unknown field "docker"; did you mean "docker_id" or "docker_short_id" or "docker_repo" or "docker_tags"?',
    ],
    ['xyzzy', 'unknown field "xyzzy"'],
    ['constructor', 'unknown field "constructor"'],
    ['xyzzy.name', 'unknown field "xyzzy"'],
    ['x'.repeat(100_000), `unknown field "${'x'.repeat(100_000)}"`],
    ['', 'empty field name in ""'],
    ['.name', 'empty field name in ".name"'],
    ['tags.', 'empty field name in "tags."'],
    ['name.x', 'field "name" has no parts, so "name.x" names nothing'],
  ])('refuses %.20s', (path, message) => {
    expect(() => checkField(path)).toThrow(usage(message));
  });
});

describe('parseFieldList', () => {
  it('ignores blanks around commas', () => {
    expect(parseFieldList('uuid , name,tags.role')).toEqual(['uuid', 'name', 'tags.role']);
  });

  it.each(['', 'uuid,', 'uuid,,name', ' '])('refuses %j, which has an empty name', (text) => {
    expect(() => parseFieldList(text)).toThrow(usage(`empty field name in "${text}"`));
  });

  it('refuses unknown fields', () => {
    expect(() => parseFieldList('uuid,nam')).toThrow(usage('unknown field "nam"; did you mean "name"?'));
  });
});

describe('isTextField', () => {
  it('names the fields whose value is always text', () => {
    const text = ['name', 'version', 'description', 'homepage', 'eula', 'owner', 'os', 'type', 'origin'];
    for (const name of [...text, 'nic_driver', 'disk_driver', 'cpu_type'])
      expect(isTextField(name)).toBe(true);
    for (const name of ['tags', 'image_size', 'public', 'source', 'other'])
      expect(isTextField(name)).toBe(false);
  });
});
