import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {
  createCleartextMessage,
  createMessage,
  generateKey,
  type PrivateKey,
  readPrivateKey,
  sign,
} from 'openpgp';
import {afterAll, afterEach, beforeAll, expect, test} from 'vitest';
import {imageJson} from '../../../src/cli/importctl/lists.ts';
import type {PullRequest} from '../../../src/engine/engine.ts';
import {PullBench, sha256} from './pull-bench.ts';

const disk = Buffer.alloc(65_536, 'disk');
const digest = sha256(disk);
const list = `${digest}  disk.raw\n`;
let keys: string;
let keyring: string;
let signer: PrivateKey;
let stranger: PrivateKey;
let bench: PullBench;

async function makeKey(name: string): Promise<PrivateKey> {
  const {privateKey} = await generateKey({
    type: 'ecc',
    curve: 'ed25519Legacy',
    date: new Date(Date.now() - 3_600_000),
    userIDs: [{name, email: `${name}@example.com`}],
    format: 'armored',
  });
  return await readPrivateKey({armoredKey: privateKey});
}

async function detached(text: string, key = signer, date = new Date()): Promise<Buffer> {
  const message = await createMessage({binary: Buffer.from(text)});
  const signature = await sign({message, signingKeys: key, detached: true, format: 'binary', date});
  return Buffer.from(signature as unknown as Uint8Array);
}

beforeAll(async () => {
  keys = mkdtempSync(path.join(tmpdir(), 'imgctl-keys-'));
  [signer, stranger] = await Promise.all([makeKey('signer'), makeKey('stranger')]);
  keyring = path.join(keys, 'keyring.asc');
  writeFileSync(keyring, signer.toPublic().armor());
});
afterAll(() => rmSync(keys, {recursive: true}));
afterEach(() => bench.close());

async function pull(files: Record<string, Buffer | string>, options: Partial<PullRequest> = {}) {
  bench = await PullBench.open({'/disk.raw': disk, ...files}, {keyringFiles: [keyring]});
  return await bench.pull('/disk.raw', {verify: 'signature', ...options});
}

test.each(['/SHA256SUMS.gpg', '/SHA256SUMS.asc'])('a list with signature %s is enough', async (place) => {
  const result = await pull({'/SHA256SUMS': list, [place]: await detached(list)});
  expect(result.verification).toEqual({
    level: 'signature',
    sha256: digest,
    keyFingerprint: signer.getFingerprint().toUpperCase(),
  });
  expect(bench.lines).toEqual(
    expect.arrayContaining([
      `SHA256 checksum of ${bench.server.url}/disk.raw is valid.`,
      'Signature verification succeeded.',
    ]),
  );
});

test('a list of images tells how each was verified and by which key', async () => {
  const {verification} = await pull({'/SHA256SUMS': list, '/SHA256SUMS.gpg': await detached(list)});
  writeFileSync(bench.place('by-hand.raw'), disk);
  const rows = (await bench.list()).map((image) => imageJson(image) as Record<string, unknown>);
  const key = verification?.keyFingerprint;
  expect(key).toMatch(/^[0-9A-F]{40,64}$/);
  expect(rows.find(({name}) => name === 'one')).toMatchObject({
    verification: 'signature',
    sha256: digest,
    key,
  });
  expect(Object.keys(rows.find(({name}) => name === 'by-hand') ?? {})).not.toContain('verification');
});

test.each(['asc', 'gpg'])('a checksum of one file may have its own signature: .sha256.%s', async (suffix) => {
  const result = await pull({'/disk.raw.sha256': list, [`/disk.raw.sha256.${suffix}`]: await detached(list)});
  expect(result.verification?.level).toBe('signature');
  expect(bench.statuses('/SHA256SUMS')).toEqual([]);
});

test('a clear-signed list needs no other file', async () => {
  const message = await createCleartextMessage({text: list});
  const signed = (await sign({message, signingKeys: signer})) as unknown as string;
  expect((await pull({'/SHA256SUMS': signed})).verification?.level).toBe('signature');
});

test('what stands outside a clear-signed text does not count', async () => {
  const message = await createCleartextMessage({text: `${sha256('other')}  disk.raw\n`});
  const signed = (await sign({message, signingKeys: signer})) as unknown as string;
  await expect(pull({'/SHA256SUMS': `${signed}\n${list}`})).rejects.toMatchObject({
    code: expect.stringMatching(/^(ChecksumError|SignatureNotTrusted)$/),
  });
  expect(bench.names()).toEqual([]);
});

test.each([
  ['by a stranger', async () => ({'/SHA256SUMS.gpg': await detached(list, stranger)})],
  ['of another list', async () => ({'/SHA256SUMS.gpg': await detached(`${list}\n`)})],
  ['that is none', async () => ({'/SHA256SUMS.gpg': 'signature'})],
])('a signature %s is refused', async (_what, files) => {
  await expect(pull({'/SHA256SUMS': list, ...(await files())})).rejects.toMatchObject({
    code: 'SignatureNotTrusted',
  });
  expect(bench.lines.at(-1)).toBe('DOWNLOAD INVALID: Signature verification failed.');
  expect(bench.names()).toEqual([]);
  expect(await bench.quarantined()).toEqual([expect.stringMatching(/^No trusted signature: /)]);
  expect(bench.cached()).toEqual([]);
});

test.each([
  [{}, 'ChecksumError', 'Failed to retrieve SHA256 checksum, cannot verify. (Try --verify=no?)'],
  [{'/SHA256SUMS': ''}, 'ChecksumError', 'Checksum is empty, cannot verify.'],
  [
    {'/SHA256SUMS': list},
    'SignatureNotTrusted',
    'Failed to retrieve signature file, cannot verify. (Try --verify=no?)',
  ],
  [{'/SHA256SUMS': list, '/SHA256SUMS.gpg': ''}, 'SignatureNotTrusted', 'Signature is empty, cannot verify.'],
  [
    {'/SHA256SUMS': `${digest}  other.raw\n`, '/SHA256SUMS.gpg': 'x'},
    'ChecksumError',
    'DOWNLOAD INVALID: Checksum of disk.raw file did not check out, file has been tampered with.',
  ],
])('%j ends the pull with %s', async (files, code, line) => {
  await expect(pull(files)).rejects.toMatchObject({code});
  expect(bench.lines.at(-1)).toBe(line);
  expect(bench.names()).toEqual([]);
});

test('only a missing checksum file leads to the next one', async () => {
  bench = await PullBench.open({'/disk.raw': disk, '/SHA256SUMS': list});
  bench.server.files.set('/disk.raw.sha256', {body: Buffer.alloc(0), status: 403});
  await expect(bench.pull('/disk.raw', {verify: 'checksum'})).rejects.toMatchObject({code: 'ChecksumError'});
  expect(bench.statuses('/SHA256SUMS')).toEqual([]);
});

test('lists may have CRLF, upper-case digits, ./ and no last newline', async () => {
  const tolerant = `${sha256('x')}  x\r\n${digest.toUpperCase()} *./disk.raw`;
  expect((await pull({'/SHA256SUMS': tolerant}, {verify: 'checksum'})).verification).toEqual({
    level: 'checksum',
    sha256: digest,
  });
});

test('an unlisted file beside the image is dropped, a wrong one ends the pull', async () => {
  await pull({'/SHA256SUMS': list, '/disk.nspawn': '[Exec]\n'}, {verify: 'checksum'});
  expect(bench.names()).toEqual(['one.raw']);
  expect(bench.lines).toContain('Checksum of disk.nspawn is not listed, proceeding without this file.');
  await bench.close();
  const wrong = `${list}${digest}  disk.nspawn\n`;
  await expect(
    pull({'/SHA256SUMS': wrong, '/disk.nspawn': '[Exec]\n'}, {verify: 'checksum'}),
  ).rejects.toMatchObject({code: 'ChecksumError'});
  expect(bench.names()).toEqual([]);
});

test('a literal digest decides alone, without any other file', async () => {
  const result = await pull({'/disk.nspawn': ''}, {verify: {sha256: digest}});
  expect(result.verification).toEqual({level: 'checksum', sha256: digest});
  expect(bench.server.seen.map(({path: seen}) => seen)).toEqual(['/disk.raw']);
  await expect(
    bench.pull('/disk.raw', {localName: 'two', verify: {sha256: sha256('other')}}),
  ).rejects.toMatchObject({code: 'ChecksumError'});
  expect(bench.lines.at(-1)).toBe('Checksum of downloaded resource does not match expected checksum, yikes.');
  expect(bench.names()).toEqual(['one.raw']);
});

test('where a keyring is named for a place, the keys of the others do not count', async () => {
  const other = path.join(keys, 'other.asc');
  writeFileSync(other, stranger.toPublic().armor());
  const files = {'/disk.raw': disk, '/SHA256SUMS': list, '/SHA256SUMS.gpg': await detached(list)};
  bench = await PullBench.open(files, {keyringFiles: [keyring], onlyKeyring: other});
  await expect(bench.pull('/disk.raw', {verify: 'signature'})).rejects.toMatchObject({
    code: 'SignatureNotTrusted',
  });
  bench.server.files.set('/SHA256SUMS.gpg', {body: await detached(list, stranger)});
  expect((await bench.pull('/disk.raw', {verify: 'signature'})).verification?.level).toBe('signature');
});

test('a list that was signed before one that was seen is refused, and kept apart with the reason', async () => {
  const now = Date.now();
  const signedAt = (minutes: number): Promise<Buffer> =>
    detached(list, signer, new Date(now + minutes * 60_000));
  const serve = (signature: Buffer): void =>
    void bench.server.files.set('/SHA256SUMS.gpg', {body: signature});
  await pull({'/SHA256SUMS': list, '/SHA256SUMS.gpg': await signedAt(-1)});
  const again = {verify: 'signature', force: true} as const;
  // The same one again, and a newer one, are fine.
  await bench.pull('/disk.raw', again);
  serve(await signedAt(0));
  await bench.pull('/disk.raw', again);
  serve(await signedAt(-1));
  bench.server.files.set('/other.raw', {body: disk});
  bench.server.files.set('/SHA256SUMS', {body: Buffer.from(`${list}${digest}  other.raw\n`)});
  serve(await detached(`${list}${digest}  other.raw\n`, signer, new Date(now - 60_000)));
  // Also for a file that was never pulled.
  await expect(bench.pull('/other.raw', {...again, localName: 'two'})).rejects.toMatchObject({
    code: 'SourceDowngraded',
    message: expect.stringContaining('/SHA256SUMS" was signed at '),
    details: {seenAt: new Date(Math.floor(now / 1000) * 1000).toISOString()},
  });
  expect(bench.names().filter((name) => name.includes('two'))).toEqual([]);
  expect(await bench.quarantined()).toEqual([expect.stringContaining('was seen there before')]);
  // Whoever asks for the checksum only asks for no signature.
  expect((await bench.pull('/other.raw', {verify: 'checksum', localName: 'two'})).verification?.level).toBe(
    'checksum',
  );
});
