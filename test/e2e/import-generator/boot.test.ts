/** Images at boot, for real: the real systemd starts the generator and the units it wrote, and the images arrive. */

import {execFileSync} from 'node:child_process';
import {createHash, randomBytes} from 'node:crypto';
import {mkdirSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {createMessage, generateKey, readPrivateKey, sign} from 'openpgp';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {manifestFor} from '../../support/catalogs.ts';
import {BootedTree, canBoot, serverUrl, sourceUrl} from './booted.ts';

const disk = randomBytes(256 * 1024);
const digest = createHash('sha256').update(disk).digest('hex');
/** importd refuses to download one URL twice at once, so in the second test each has its own. */
const disks = ['disk.raw', 'a.raw', 'b.raw', 'c.raw'];
const sha1 = createHash('sha1').update(disk).digest('hex');
const manifest = manifestFor('web', {
  type: 'zvol',
  files: [{sha1, size: disk.length, compression: 'none'}],
});
let tree: BootedTree;
let fingerprint = '';
const oddName = `it's %n $HOME "x"\\`;
beforeEach(async () => {
  tree = new BootedTree();
  for (const name of disks) writeFileSync(tree.onServer(name), disk);
  writeFileSync(tree.onServer('file.txt'), 'in a tree\n');
  const folder = path.dirname(tree.onServer('file.txt'));
  execFileSync('tar', ['-C', folder, '-cJf', path.join(folder, 'app.tar.xz'), 'file.txt']);
  await signFiles();
});
afterEach(() => tree.end());

/** SHA256SUMS with a signature of a key that the tree trusts. */
async function signFiles(): Promise<void> {
  const list = disks.map((name) => `${digest}  ${name}\n`).join('');
  const userIDs = [{name: 'Images', email: 'images@example.com'}];
  const made = await generateKey({type: 'ecc', curve: 'ed25519Legacy', userIDs, format: 'armored'});
  const key = await readPrivateKey({armoredKey: made.privateKey});
  const message = await createMessage({binary: Buffer.from(list)});
  const signature = await sign({message, signingKeys: key, detached: true, format: 'binary'});
  writeFileSync(tree.onServer('SHA256SUMS'), list);
  writeFileSync(tree.onServer('SHA256SUMS.gpg'), signature as unknown as Uint8Array);
  for (const suffix of ['pgp', 'gpg'])
    writeFileSync(tree.inTree(`etc/systemd/import-pubring.${suffix}`), key.toPublic().write() as Uint8Array);
  fingerprint = key.getFingerprint().toUpperCase();
}

const pull = (options: string, name: string, file = 'disk.raw'): string =>
  `systemd.pull=${options}:${name.replaceAll('\\', '\\\\')}:${serverUrl}/${file}`;

test.runIf(canBoot('sid'))('units that run imgctl bring what was asked for, and the report tells it', () => {
  mkdirSync(tree.inTree('var/lib/machines/here'), {recursive: true});
  writeFileSync(
    tree.inTree('etc/imgctl/wanted.d/tools.json'),
    JSON.stringify({
      url: `${serverUrl}/disk.raw`,
      type: 'raw',
      class: 'sysext',
      name: 'tools',
      verify: digest,
    }),
  );
  tree.offerImage(manifest, disk);
  writeFileSync(
    tree.inTree('etc/imgctl/wanted.d/web.json'),
    JSON.stringify({image: manifest.uuid, class: 'machine'}),
  );
  const booted = tree.boot({
    suite: 'sid',
    target: 'imports.target',
    configuration: {sources: [{url: sourceUrl}]},
    words: [
      pull('raw,machine', 'signed'),
      pull('tar,portable,verify=no,ro', '', 'app.tar.xz'),
      pull('raw,confext,verify=checksum,runtime=yes', 'run'),
      pull('raw,machine,verify=no', oddName),
      pull('raw,machine,skip-if-present', 'here'),
      pull('raw,sysext,verify=no,refresh', 'fresh'),
      pull(`raw,machine,retry=1,digest=${'0'.repeat(64)}`, 'wrong'),
      pull('raw', 'typo'),
    ],
    credential: `raw,sysext,digest=${digest}:secret:${serverUrl}/disk.raw\n`,
  });
  const sums = booted.sums();
  const names = ['machines/signed', `machines/${oddName}`, 'extensions/fresh', 'extensions/tools'];
  for (const name of [...names, 'extensions/secret'])
    expect({name, sum: sums.get(`var/lib/${name}.raw`)}).toEqual({name, sum: digest});
  expect(sums.get('run/confexts/run.raw')).toBe(digest);
  expect(sums.has('var/lib/portables/app/file.txt')).toBe(true);
  const {wishes, complaints} = booted.report();
  const outcomes = Object.fromEntries(wishes.map(({name, outcome}) => [name ?? 'web', outcome]));
  expect(outcomes).toEqual({
    signed: 'pulled',
    app: 'pulled',
    run: 'pulled',
    [oddName]: 'pulled',
    here: 'skipped',
    fresh: 'pulled',
    wrong: 'failed',
    secret: 'pulled',
    tools: 'pulled',
    web: 'done',
  });
  expect(wishes[0]?.verification).toEqual({level: 'signature', sha256: digest, keyFingerprint: fingerprint});
  expect(wishes.find(({name}) => name === null)?.verification).toEqual({level: 'checksum', sha256: digest});
  expect(sums.get(`var/lib/machines/${manifest.uuid}.raw`)).toBe(digest);
  expect(complaints[0]).toMatch(/^No image class/);
  expect(booted.read('journal').match(/saving as 'wrong'/g)).toHaveLength(2);
});

test.runIf(canBoot('sid'))('units that ask the real importd bring the images too', () => {
  const booted = tree.boot({
    suite: 'sid',
    target: 'imports.target',
    configuration: {generator: {form: 'varlink'}},
    words: [
      pull('raw,machine', 'signed'),
      pull('tar,portable,verify=no', '', 'app.tar.xz'),
      pull('raw,confext,verify=checksum,runtime=yes', 'run', 'a.raw'),
      pull('raw,sysext,verify=no', oddName, 'b.raw'),
      pull(`raw,machine,digest=${digest}`, 'ours', 'c.raw'),
      pull('raw,machine,verify=no', 'missing', 'missing.raw'),
    ],
  });
  const sums = booted.sums();
  for (const name of ['machines/signed', `extensions/${oddName}`, 'machines/ours'])
    expect({name, sum: sums.get(`var/lib/${name}.raw`)}).toEqual({name, sum: digest});
  expect(sums.get('run/confexts/run.raw')).toBe(digest);
  expect(sums.has('var/lib/portables/app/file.txt')).toBe(true);
  const agents = booted.read('http').match(/(?<=User-Agent=)[a-z-]+/g);
  expect(new Set(agents)).toEqual(new Set(['systemd-pull', 'imgctl']));
  const outcomes = booted.report().wishes.map(({name, outcome}) => [name, outcome]);
  expect(outcomes).toEqual([
    ['signed', 'done'],
    ['app', 'done'],
    ['run', 'done'],
    [oddName, 'done'],
    ['ours', 'pulled'],
    ['missing', 'failed'],
  ]);
});

test.runIf(canBoot('sid')).each(['imgctl', 'varlink'])(
  'in an initrd, images come for this boot by units that run %s',
  (form) => {
    const booted = tree.boot({
      suite: 'sid',
      target: 'imports.target',
      inInitrd: true,
      configuration: {generator: {form}},
      words: [`rd.${pull('raw,machine,verify=checksum', 'root')}`, pull('raw,machine', 'later', 'a.raw')],
    });
    expect([...booted.sums()]).toEqual([['run/machines/root.raw', digest]]);
    const [first, second] = booted.report().wishes;
    expect([first?.inInitrd, first?.outcome]).toEqual([true, form === 'imgctl' ? 'pulled' : 'done']);
    expect([second?.inInitrd, second?.outcome]).toEqual([false, 'unknown']);
  },
);

test.runIf(canBoot('trixie'))('units in the style of 257 bring the images where systemd is 257', () => {
  const booted = tree.boot({
    suite: 'trixie',
    target: 'multi-user.target import0.service import1.service',
    configuration: {generator: {form: 'varlink'}},
    generatorOptions: ['--compat=257'],
    words: [pull('raw,machine', 'signed'), pull('tar,portable,verify=no', 'app', 'app.tar.xz')],
  });
  const sums = booted.sums();
  expect(sums.get('var/lib/machines/signed.raw')).toBe(digest);
  expect(sums.has('var/lib/portables/app/file.txt')).toBe(true);
});
