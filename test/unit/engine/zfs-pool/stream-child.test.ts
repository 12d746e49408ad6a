/** What comes out of the process between a file and `zfs recv`, and between `zfs send` and a file. */
import {closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {gunzipSync} from 'node:zlib';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {runChild} from '../../../../src/engine/embedded/child-process.ts';
import type {ChildMessage} from '../../../../src/engine/embedded/child-protocol.ts';
import {Sandbox} from '../../../../src/engine/embedded/sandbox.ts';
import type {StreamTask} from '../../../../src/engine/zfs-pool/stream-task.ts';
import {defaultDecompressLimits} from '../../../../src/formats/decompress.ts';
import {fixturePath} from '../../../fixtures-dir.ts';
import {
  decodeStreams,
  expectSameLines,
  recordedStream,
  recordedTree,
  treeLines,
} from '../../../support/zfs-stream.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-stream-child-'));
});
afterEach(() => rmSync(directory, {recursive: true}));

const recorded = (name: string) => readFileSync(fixturePath('fixtures', 'zfs', `${name}.zfs.gz`));

async function run(task: StreamTask, input: Buffer): Promise<{output: Buffer; messages: ChildMessage[]}> {
  const file = path.join(directory, 'input');
  writeFileSync(file, input);
  const stdin = openSync(file, 'r');
  const chunks: Buffer[] = [];
  const messages: ChildMessage[] = [];
  const {promise: ended, resolve} = Promise.withResolvers<void>();
  try {
    await runChild({
      name: 'stream-child',
      task,
      sandbox: new Sandbox(['none'], false),
      wrap: {target: undefined, capabilities: []},
      descriptors: {stdin, descriptors: ['pipe']},
      signal: new AbortController().signal,
      onMessage: (message) => messages.push(message),
      onStart: ({pipes: [pipe]}) => {
        pipe?.on('data', (chunk: Buffer) => chunks.push(chunk));
        pipe?.on('close', resolve);
      },
    });
    await ended;
    return {output: Buffer.concat(chunks), messages};
  } finally {
    closeSync(stdin);
  }
}

const decode = (input: Buffer) => run({mode: 'decode', limits: defaultDecompressLimits}, input);

test('a plain stream comes out as it is, and what it is is told first', async () => {
  const {output, messages} = await decode(recorded('fs-v28-zpl4'));
  expect(output.equals(recordedStream('fs-v28-zpl4'))).toBe(true);
  expect(messages.find(({type}) => type === 'zfs')).toEqual({type: 'zfs', kind: 'file system'});
});

test('a stream of changes is told with the snapshot that it starts from', async () => {
  const stream = recordedStream('zvol-8K-incr');
  const {messages} = await decode(stream);
  const fromGuid = String(stream.readBigUInt64LE(48));
  expect(messages.find(({type}) => type === 'zfs')).toEqual({type: 'zfs', kind: 'volume', fromGuid});
});

test('of a compound stream the one inside comes out, without the properties around it', async () => {
  const {output} = await decode(recorded('fs-p'));
  // Bits 0 and 1 say that a stream is not compound (spec/zfs-send-stream.md §1).
  expect(output.readBigUInt64LE(16) & 3n).toBe(1n);
  expectSameLines(treeLines(await decodeStreams([output])), recordedTree('fs-plain'));
});

const cut = (bytes: Buffer) => bytes.subarray(0, bytes.length - 312);
function flipped(bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes);
  const at = bytes.length >> 1;
  changed[at] = (changed[at] ?? 0) ^ 4;
  return changed;
}

test.each([
  ['of two snapshots', recorded('fs-replicate'), 'UnexpectedNumberOfSnapshots', '(2): @final, @second'],
  ['that is encrypted', recorded('refuse-raw-encrypted'), 'NotSupported', 'is encrypted'],
  ['that is cut', cut(recordedStream('zvol-16K-c')), 'InvalidArchive', 'truncated'],
  ['with another bit', flipped(recordedStream('zvol-16K-c')), 'InvalidArchive', 'checksum'],
  ['that is none', Buffer.alloc(4096, 'x'), 'NotSupported', 'the file holds no ZFS stream'],
])('a stream %s is refused', async (_what, input, code, text) => {
  await expect(decode(input)).rejects.toMatchObject({code, message: expect.stringContaining(text)});
});

test('what zfs sends is compressed', async () => {
  const stream = recordedStream('zvol-16K-c');
  const {output} = await run({mode: 'encode', compression: 'gzip', cores: 2}, stream);
  expect(gunzipSync(output).equals(stream)).toBe(true);
});
