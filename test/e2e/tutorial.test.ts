/** docs/tutorial.md, typed line by line: what it shows is what comes. */

import {type ChildProcess, spawn, spawnSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {once} from 'node:events';
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {createMessage, generateKey, sign} from 'openpgp';
import {expect, test} from 'vitest';
import {endWorld, makeWorld, replay, type World} from '../support/transcripts.ts';

const file = path.join(import.meta.dirname, '../../docs/tutorial.md');
const block = /^```\n([^`]*)^```$/gm;

/** The three images it begins with, and the word for what a reader cannot do to a server. */
const beginning = `offer $A base 1.0.0 && offer $B base 1.1.0
head -c 4194304 /dev/zero | tr '\\0' x >disk
make_manifest disk $C disk 1.0.0 none
sed -i 's/"lx-dataset", "os": "linux"/"other", "os": "other"/' disk.imgmanifest
imgctl publish -q -m disk.imgmanifest -f disk $URL >/dev/null
rm -rf tree disk* image*`;
const words = 'cut_server() { : >cut; }';

/** A disk in `signed` that the one key of the host's keyring vouches for. Resolves with the fingerprint of the key. */
async function offerSigned({directory, env}: World): Promise<string> {
  const key = await generateKey({
    type: 'ecc',
    curve: 'ed25519Legacy',
    userIDs: [{name: 'Example Images'}],
    format: 'object',
  });
  const disk = Buffer.alloc(65_536, 'tools');
  const sums = `${createHash('sha256').update(disk).digest('hex')}  tools.raw\n`;
  const message = await createMessage({binary: Buffer.from(sums)});
  const signature = await sign({message, signingKeys: key.privateKey, detached: true, format: 'binary'});
  const signed = path.join(directory, 'signed');
  const keyrings = path.join(String(env.IMGCTL_ROOT), 'etc/systemd');
  for (const folder of [signed, keyrings]) mkdirSync(folder, {recursive: true});
  writeFileSync(path.join(signed, 'tools.raw'), disk);
  writeFileSync(path.join(signed, 'SHA256SUMS'), sums);
  writeFileSync(path.join(signed, 'SHA256SUMS.gpg'), signature as unknown as Uint8Array);
  writeFileSync(path.join(keyrings, 'import-pubring.pgp'), key.publicKey.write());
  return key.publicKey.getFingerprint().toUpperCase();
}

async function startProxy(world: World): Promise<ChildProcess> {
  const program = path.join(import.meta.dirname, '../support/cutting-proxy.ts');
  const proxy = spawn(process.execPath, [program, world.url, path.join(world.directory, 'cut'), '3145728'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [chunk] = await once(proxy.stdout!, 'data');
  world.url = String(chunk).trim();
  world.env.URL = world.url;
  return proxy;
}

test('the tutorial shows what comes', {timeout: 200_000}, async () => {
  const text = readFileSync(file, 'utf8');
  const world = await makeWorld();
  let proxy: ChildProcess | undefined;
  try {
    const prelude = path.join(import.meta.dirname, '../golden/prelude.sh');
    const made = spawnSync('sh', ['-euc', `. ${prelude}\n${beginning}`], {
      cwd: world.directory,
      env: world.env,
      encoding: 'utf8',
    });
    expect(made).toMatchObject({status: 0, stderr: ''});
    proxy = await startProxy(world);
    const fingerprint = await offerSigned(world);
    const actual = text.replace(block, (_, script: string) => {
      const came = replay(script.trimEnd(), world, words).replaceAll(fingerprint, '$KEY');
      return `\`\`\`\n${came}\n\`\`\``;
    });
    if (process.env.IMGCTL_UPDATE_GOLDEN === '1') writeFileSync(file, actual);
    else expect(actual).toBe(text);
  } finally {
    proxy?.kill();
    endWorld(world);
  }
});
