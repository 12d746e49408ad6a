import {expect, test} from 'vitest';
import type {ActionContext, Pool} from '../../../src/actions/context.ts';
import {checkLocalName, localNameFor, refuseTakenNames} from '../../../src/actions/local-name.ts';
import type {ImageClass} from '../../../src/import1/image-class.ts';
import {manifestFor} from '../../support/catalogs.ts';

const pool = (imageClass: ImageClass): Pool => ({name: imageClass, store: {imageClass, directory: '/x'}});
const manifest = manifestFor('tools');

test('images of class machine are named by their UUID, all others readably', () => {
  expect(localNameFor(manifest, pool('machine'))).toBe(manifest.uuid);
  for (const imageClass of ['portable', 'sysext', 'confext'] as const) {
    expect(localNameFor(manifest, pool(imageClass))).toBe('tools');
    expect(localNameFor(manifest, pool(imageClass), 'other')).toBe('other');
  }
});

test('a name in a manifest that no directory can have is refused, with the way out', () => {
  expect(() => localNameFor({...manifest, name: '../x'}, pool('sysext'))).toThrow(
    expect.objectContaining({code: 'InvalidArgument', hint: 'give it another name with --name'}),
  );
});

test('a name may be asked for where images have names, and must be one', () => {
  checkLocalName(pool('sysext'), 'other');
  checkLocalName(pool('machine'), undefined);
  expect(() => checkLocalName(pool('machine'), 'other')).toThrow(expect.objectContaining({code: 'Usage'}));
  for (const name of ['', '.', '..', 'a/b', '.#a', 'a\nb', 'x'.repeat(256)]) {
    expect(() => checkLocalName(pool('sysext'), name)).toThrow(
      expect.objectContaining({code: 'InvalidArgument'}),
    );
  }
});

test('a name that is there, or wanted twice, is refused', async () => {
  const pools = [pool('machine'), pool('sysext')];
  const engine = {listImages: async () => [{name: 'there'}]} as unknown as ActionContext['engine'];
  await refuseTakenNames({engine, pools}, pool('sysext'), ['a', 'b']);
  await refuseTakenNames({engine, pools}, pool('machine'), ['there', 'there']);
  for (const [names, taken] of [
    [['a', 'there'], 'there'],
    [['a', 'a'], 'a'],
  ] as const) {
    await expect(refuseTakenNames({engine, pools}, pool('sysext'), names)).rejects.toMatchObject({
      code: 'ImageAlreadyExists',
      message: `zpool "sysext" already has an image named "${taken}"`,
    });
  }
});
