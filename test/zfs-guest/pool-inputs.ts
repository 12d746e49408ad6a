/** What the steps of `pool-steps.ts` work with: recorded streams with manifests, damaged ones, a server's directory. */
import {execFileSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {copyFileSync, cpSync, readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {fixturePath} from '../fixtures-dir.ts';
import {World} from '../support/world.ts';
import {recordedStream} from '../support/zfs-stream.ts';

export const disk = '33333333-3333-4333-8333-333333333333';
export const diskChanges = '44444444-4444-4444-8444-444444444444';
export const refused = '55555555-5555-4555-8555-555555555555';

/** A manifest of a file beside it. */
function describeImage(target: string, uuid: string, bytes: Buffer, more: object): void {
  const files = [
    {sha1: createHash('sha1').update(bytes).digest('hex'), size: bytes.length, compression: 'none'},
  ];
  const manifest = {
    v: 2,
    uuid,
    name: 'image',
    version: '1',
    type: 'zone-dataset',
    os: 'smartos',
    files,
    ...more,
  };
  writeFileSync(`${target}.imgmanifest`, JSON.stringify(manifest));
  writeFileSync(target, bytes);
}

function recordedBytes(name: string): Buffer {
  return readFileSync(fixturePath('fixtures', 'zfs', `${name}.zfs.gz`));
}

export interface PublishedStreams {
  base: string;
  changed: string;
}

/** Makes a server's directory with a tree and changes of it, compressed as they were recorded. */
export async function publishStreams(target: string): Promise<PublishedStreams> {
  const world = await new World().start();
  try {
    const publish = (name: string, more: object) => {
      const bytes = recordedBytes(name);
      const files = [
        {sha1: createHash('sha1').update(bytes).digest('hex'), size: bytes.length, compression: 'gzip'},
      ];
      return world.publish(bytes, {type: 'zone-dataset', os: 'smartos', files, ...more}).uuid;
    };
    const base = publish('fs-plain', {name: 'base'});
    const changed = publish('fs-incr', {name: 'changed', origin: base});
    cpSync(path.join(world.directory, 'server'), target, {recursive: true});
    return {base, changed};
  } finally {
    await world.end();
  }
}

export function writeInputs(inputs: string, {base}: PublishedStreams): void {
  const image = (name: string, uuid: string, more: object) =>
    describeImage(path.join(inputs, name), uuid, recordedStream(name), more);
  image('zvol-8K-c', disk, {type: 'zvol'});
  image('zvol-8K-incr', diskChanges, {type: 'zvol', origin: disk});
  for (const name of ['fs-p', 'fs-replicate', 'refuse-raw-encrypted', 'fs-incr2'])
    image(name, refused, ['fs-incr2', 'fs-replicate'].includes(name) ? {origin: base} : {});
  const whole = recordedStream('fs-plain');
  describeImage(path.join(inputs, 'cut'), refused, whole.subarray(0, whole.length - 312), {});
  const flipped = Buffer.from(whole);
  flipped[whole.length >> 1] = (flipped[whole.length >> 1] ?? 0) ^ 4;
  describeImage(path.join(inputs, 'flipped'), refused, flipped, {});
  copyFileSync(fixturePath('fixtures', 'zfs', 'README.md'), path.join(inputs, 'member'));
  execFileSync('tar', ['-C', inputs, '-cf', path.join(inputs, 'tar'), 'member']);
  describeImage(path.join(inputs, 'tar'), refused, readFileSync(path.join(inputs, 'tar')), {});
  const configuration = {
    sources: [{url: 'http://127.0.0.1:8080', type: 'imgapi'}],
    pools: {tank: {type: 'zfs', dataset: 'tank/images'}},
  };
  writeFileSync(path.join(inputs, 'config.json'), JSON.stringify(configuration));
}
