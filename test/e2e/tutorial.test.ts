/** docs/tutorial.md, typed line by line: what it shows is what comes. */

import {type ChildProcess, spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
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
    const actual = text.replace(block, (_, script: string) => {
      return `\`\`\`\n${replay(script.trimEnd(), world, words)}\n\`\`\``;
    });
    if (process.env.IMGCTL_UPDATE_GOLDEN === '1') writeFileSync(file, actual);
    else expect(actual).toBe(text);
  } finally {
    proxy?.kill();
    endWorld(world);
  }
});
