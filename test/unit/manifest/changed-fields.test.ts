import {expect, test} from 'vitest';
import {changedFields} from '../../../src/manifest/changed-fields.ts';

test('changed and new fields come in the order of the new manifest, dropped ones last', () => {
  const before = {uuid: 'u', name: 'a', eula: 'e', tags: {x: 1}, homepage: 'h'};
  const after = {uuid: 'u', tags: {x: 2}, description: 'd', name: 'b', eula: 'e'};
  expect(changedFields(before, after)).toEqual(['tags', 'description', 'name', 'homepage']);
});

test('requirements are named key by key when both have them, and as a whole when one has', () => {
  const before = {requirements: {brand: 'lx', min_ram: 1, gone: true}};
  const after = {requirements: {max_ram: 2, min_ram: 1, brand: 'kvm'}};
  expect(changedFields(before, after)).toEqual([
    'requirements.max_ram',
    'requirements.brand',
    'requirements.gone',
  ]);
  expect(changedFields({}, after)).toEqual(['requirements']);
  expect(changedFields(before, {})).toEqual(['requirements']);
});

test('equal manifests have no changed fields, whatever the order of their keys', () => {
  const files = [{sha1: 's', size: 1, compression: 'none'}];
  const before = {name: 'a', files, requirements: {a: 1, b: 2}, absent: undefined};
  const after = {files: [{...files[0]}], requirements: {b: 2, a: 1}, name: 'a'};
  expect(changedFields(before, after)).toEqual([]);
});
