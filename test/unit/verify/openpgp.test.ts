/** Files made by real gpg: openpgp-files/make.sh. */
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {isInlineSigned, OpenPgpVerifier} from '../../../src/verify/openpgp.ts';

const files = path.join(import.meta.dirname, 'openpgp-files');
const file = (name: string) => path.join(files, name);
const read = (name: string) => readFileSync(file(name));
const list = read('list');
const fingerprints = Object.fromEntries(
  readFileSync(file('fingerprints'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(' ')),
);

/** A verifier on a day between the making of the signatures and the expiry of a key, unless another is named. */
function verifier(keyrings: string[], day = '2026-01-20'): OpenPgpVerifier {
  return new OpenPgpVerifier(keyrings.map(file), () => new Date(`${day}T00:00:00Z`));
}

describe('a detached signature', () => {
  /** Found by the mutation fuzzer: a whole packet whose hash has a number that nobody gave. */
  const unknownHash =
    'iQFEBDMBCgAuFgDwBwAAAAAAvGC7d32u1MGBGy2O/LcFAmloLgAQHHJzYUBleGFtR2xlLmNvbQAKCRDUwYEbLY78tzJWB/wJz0hucwODf9W9w3Mr' +
    'Xt4STWiSxzj/gJ5YaFfuf3U90HCAdm6B0BWWIqELE0ZZOb7GXerd3vIfWJ+vUzCgmaI9YECXPKcYLnb7LPntTlaHmODUpTeJO1yo9BsFLrCvYsaO' +
    'Gx5oeiJE57PqUbbsuYykNsYbYrsHOxvQz1fN0gvUF4jJCOfiF5AepQ44bp7Vxtz5bBe7NQfppKHj2ef7R3l3SCuPKs2bC3sUtxl6Manz7aPB9STf' +
    'xtNJTWdGpbYhjMvBoNLFfmVvQNyt9gqRlwFB4U9wUCgdx6JKcCJTWwxC1g64g80q+72EqzMAAAAAAAAAANbIQ5gCHIe+Xc0IuW+4';

  test('of a kind that nobody knows is not trusted, and is no failure of ours', async () => {
    const signature = Buffer.from(unknownHash, 'base64');
    await expect(verifier(['ed.pgp.asc']).verifyDetached(list, signature)).rejects.toMatchObject({
      code: 'SignatureNotTrusted',
    });
  });

  test.each([
    ['rsa.gpg', 'rsa.pgp', 'rsa'],
    ['rsa.asc', 'rsa.pgp', 'rsa'],
    ['ed.gpg', 'ed.pgp.asc', 'ed'],
    ['ed-text.asc', 'ed.pgp.asc', 'ed'],
    ['rsa.gpg', 'both.pgp.asc', 'rsa'],
    ['sub.gpg', 'sub.pgp', 'sub'],
    ['several.gpg', 'ed.pgp.asc', 'ed'],
  ])('%s is good with keyring %s', async (signature, keyring, signer) => {
    const good = await verifier([keyring]).verifyDetached(list, read(signature));
    expect(good.fingerprint).toBe(fingerprints[signer]);
    expect(good.userId).toContain(`<${signer}@example.com>`);
  });

  test('armored signatures that were joined count each', async () => {
    const both = Buffer.concat([read('ed-text.asc'), Buffer.from('\n'), read('rsa.asc')]);
    const good = await verifier(['rsa.pgp']).verifyDetached(list, both);
    expect(good.fingerprint).toBe(fingerprints.rsa);
  });

  test.each([
    ['an unknown key', 'impostor.gpg', 'rsa.pgp', 'that key is in no keyring'],
    ['a key of the same name', 'ed.gpg', 'impostor.pgp', 'that key is in no keyring'],
    ['a revoked key', 'revoked.gpg', 'revoked.pgp', 'revoked'],
    ['a revoked subkey', 'subrevoked.gpg', 'subrevoked.pgp', 'Subkey is revoked'],
    ['SHA-1', 'sha1.gpg', 'rsa.pgp', 'Insecure message hash algorithm: SHA1'],
  ])('by %s is refused', async (_what, signature, keyring, reason) => {
    const result = verifier([keyring], '2026-06-01').verifyDetached(list, read(signature));
    await expect(result).rejects.toMatchObject({
      code: 'SignatureNotTrusted',
      message: expect.stringContaining(reason),
    });
  });

  test('by a key that was fine when it signed and is expired now is refused', async () => {
    const verify = (day: string) => verifier(['expired.pgp'], day).verifyDetached(list, read('expired.gpg'));
    await expect(verify('2026-06-01')).rejects.toMatchObject({
      code: 'SignatureNotTrusted',
      message: expect.stringContaining('Primary key is expired'),
    });
    expect((await verify('2026-01-20')).fingerprint).toBe(fingerprints.expired);
  });

  test('of other bytes is refused', async () => {
    const result = verifier(['rsa.pgp']).verifyDetached(Buffer.concat([list, list]), read('rsa.gpg'));
    await expect(result).rejects.toMatchObject({code: 'SignatureNotTrusted'});
  });

  test.each([
    '',
    'no signature',
    '-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n',
    '\x99\0',
  ])('%j is refused', async (text) => {
    const result = verifier(['rsa.pgp']).verifyDetached(list, Buffer.from(text, 'latin1'));
    await expect(result).rejects.toMatchObject({code: 'SignatureNotTrusted'});
  });

  test('a cut one is refused at every length', async () => {
    const whole = read('rsa.gpg');
    for (let length = 1; length < whole.length; length += 13) {
      const result = verifier(['rsa.pgp']).verifyDetached(list, whole.subarray(0, length));
      await expect(result).rejects.toMatchObject({code: 'SignatureNotTrusted'});
    }
  });
});

describe('a text that carries its signature', () => {
  test.each([
    ['clear.asc', 'ed'],
    ['inline.gpg', 'rsa'],
    ['inline.asc', 'rsa'],
  ])('%s gives what was signed', async (name, signer) => {
    expect(isInlineSigned(read(name))).toBe(true);
    const text = await verifier(['both.pgp.asc']).verifyInline(read(name));
    expect(text.fingerprint).toBe(fingerprints[signer]);
    expect(text.bytes.toString().trim()).toBe(list.toString().trim());
  });

  test('only what was signed counts, and a changed one not at all', async () => {
    const clear = read('clear.asc').toString();
    const around = `${clear}\n${'f'.repeat(64)}  disk.raw\n`;
    const outcome = await verifier(['ed.pgp.asc'])
      .verifyInline(Buffer.from(around))
      .then(({bytes}) => bytes.toString(), String);
    expect(outcome).not.toContain('ffff');
    const changed = Buffer.from(clear.replace('e3b0', 'f3b0'));
    await expect(verifier(['ed.pgp.asc']).verifyInline(changed)).rejects.toMatchObject({
      code: 'SignatureNotTrusted',
    });
  });

  test('a plain list is none', () => {
    expect(isInlineSigned(list)).toBe(false);
    expect(isInlineSigned(Buffer.alloc(0))).toBe(false);
  });
});

describe('keyrings', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'imgctl-keyring-'));
  });
  afterAll(() => rmSync(directory, {recursive: true}));

  test('add up; missing ones are none', async () => {
    const both = verifier(['missing', 'ed.pgp.asc', 'rsa.pgp']);
    expect((await both.verifyDetached(list, read('rsa.gpg'))).fingerprint).toBe(fingerprints.rsa);
    expect((await both.verifyDetached(list, read('ed.gpg'))).fingerprint).toBe(fingerprints.ed);
  });

  test('without any key nothing is trusted, and the places are named', async () => {
    await expect(verifier(['missing']).verifyDetached(list, read('rsa.gpg'))).rejects.toMatchObject({
      code: 'SignatureNotTrusted',
      message: expect.stringContaining(file('missing')),
    });
  });

  test('that cannot be read are named', async () => {
    const broken = path.join(directory, 'broken.pgp');
    writeFileSync(broken, Buffer.from([0x99, 0xff, 0xff, 1, 2]));
    for (const place of [broken, directory]) {
      const result = new OpenPgpVerifier([place]).verifyDetached(list, read('rsa.gpg'));
      await expect(result).rejects.toMatchObject({
        code: 'ConfigError',
        message: expect.stringContaining(place),
      });
    }
  });
});
