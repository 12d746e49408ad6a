/**
 * kill -9 in the middle of publish, at random instants: the server has the whole image, none, or half of one that the next
 * publish names and completes. IMGCTL_TEST_KILLS says how often.
 */
import {createHash, randomBytes} from 'node:crypto';
import {readdirSync, readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {setTimeout as wait} from 'node:timers/promises';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {type Outcome, World} from '../support/world.ts';

const kills = Number(process.env.IMGCTL_TEST_KILLS ?? 4);
const uuid = 'aaaaaaaa-2222-4000-8000-000000000001';

let world: World;
beforeEach(async () => {
  world = await new World().start();
});
afterEach(() => world.end());

function writeImage(bytes: Buffer): string[] {
  const file = path.join(world.directory, 'image');
  writeFileSync(file, bytes);
  const sha1 = createHash('sha1').update(bytes).digest('hex');
  const manifest = {
    ...{v: 2, uuid, name: 'killed', version: '1.0.0', type: 'other', os: 'linux', public: true},
    files: [{sha1, size: bytes.length, compression: 'none'}],
  };
  writeFileSync(`${file}.imgmanifest`, JSON.stringify(manifest));
  return ['publish', '-m', `${file}.imgmanifest`, '-f', file, world.url];
}

async function killAfter(args: readonly string[], delayMs: number): Promise<Outcome> {
  return world.runWhile(args, async (child) => {
    await Promise.race([wait(delayMs), new Promise((resolve) => child.once('close', resolve))]);
    child.kill('SIGKILL');
  });
}

const images = () => readdirSync(path.join(world.directory, 'server/images'));

/** The server notices a connection that breaks off a moment later. */
async function serverIsTidy(): Promise<void> {
  for (let left = 1200; left > 0 && images().some((name) => name !== uuid); left--) await wait(25);
  expect(images().filter((name) => name !== uuid)).toEqual([]);
}

/** As it is on the server's disk. */
function stateAtServer(): string | undefined {
  if (images().length === 0) return undefined;
  const file = path.join(world.directory, 'server/images', uuid, 'manifest.json');
  return JSON.parse(readFileSync(file, 'utf8')).state;
}

function expectPublishedOnce(bytes: Buffer): void {
  expect(world.run(['avail', '-H', '-o', 'uuid,state']).stdout).toBe(`${uuid}  active\n`);
  expect(readdirSync(path.join(world.directory, 'server/images', uuid)).sort()).toEqual([
    'file',
    'manifest.json',
  ]);
  expect(readFileSync(path.join(world.directory, 'server/images', uuid, 'file')).equals(bytes)).toBe(true);
}

test('publish that is killed is completed by the next one, once', {
  timeout: 60_000 + kills * 30_000,
}, async () => {
  const bytes = randomBytes(24 << 20);
  const publish = writeImage(bytes);
  const began = Date.now();
  expect(world.run(publish).status).toBe(0);
  const usualMs = Date.now() - began;
  for (let count = 0; count < kills; count++) {
    expect(world.run(['server', 'delete', '--yes', world.url, uuid]).status).toBe(0);
    await killAfter(publish, Math.random() * usualMs);
    await serverIsTidy();
    const state = stateAtServer();
    const {status, stderr} = world.run(publish);
    // The server may still have been busy with what the killed one had sent, so it can be further than it was.
    if (status !== 0) expect(stderr).toContain('ImageUuidAlreadyExists');
    else if (state !== undefined) expect(stderr).toContain(noticeOfHalf);
    expectPublishedOnce(bytes);
  }
});

const noticeOfHalf = `Image ${uuid} is on the server already, not activated: going on with it`;
