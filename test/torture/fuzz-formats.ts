/** Readers of archives, disks and streams. */
import {execFileSync} from 'node:child_process';
import {closeSync, openSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {randomAccess} from '../../src/engine/embedded/file-source.ts';
import {convertQcow2} from '../../src/engine/embedded/raw-writer.ts';
import {type DecompressOptions, decompress} from '../../src/formats/decompress.ts';
import type {Compression} from '../../src/formats/sniff.ts';
import {readTar} from '../../src/formats/tar-reader.ts';
import {decodeQcow2, makeDisk, makeQcow2} from '../support/qcow2.ts';
import {recordPlaces, resealed} from '../support/zfs-records.ts';
import {decodedEntries, decodedVolume, decodeStreams} from '../support/zfs-stream.ts';
import {largeVolume, manyFiles} from '../support/zfs-writer.ts';
import {type FuzzTarget, inFile, temporaryDirectory} from './fuzz-target.ts';
import {mutateBytes} from './mutate.ts';

const formats = path.join(import.meta.dirname, '../../src/formats');

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

export function tar(): FuzzTarget {
  const kinds = [['gnu', '--sparse'], ['posix', '--sparse'], ['ustar']];
  const samples = kinds.map(([format, ...options]) =>
    execFileSync('tar', [`--format=${format}`, ...options, '-C', formats, '-c', 'sparse.ts', 'gzip.ts']),
  );
  return {
    samples,
    mutate: (from, random) => {
      const bytes = mutateBytes(from, random);
      return random.next() < 0.7 ? withChecksums(bytes) : bytes;
    },
    read: async (bytes) => {
      let total = 0;
      for await (const entry of readTar(once(bytes)))
        for await (const run of entry.body()) total += run.bytes.length;
      if (total > bytes.length) throw new Error('more bytes came out than went in');
    },
  };
}

/** Damage reaches the code behind the checksum. */
function withChecksums(bytes: Buffer): Buffer {
  for (let start = 0; start + 512 <= bytes.length; start += 512) {
    const block = bytes.subarray(start, start + 512);
    if (block.toString('latin1', 257, 262) !== 'ustar') continue;
    block.fill(0x20, 148, 156);
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  }
  return bytes;
}

export function compressed(
  kind: Compression,
  compress: (bytes: Buffer) => Buffer,
  options: Pick<DecompressOptions, 'replacements'> = {},
): FuzzTarget {
  const limits = {maxOutputBytes: 4 << 20, maxWindowBytes: 8 << 20};
  return {
    samples: [
      Buffer.from('a text that is compressed '.repeat(60)),
      Buffer.alloc(20_000, 1),
      Buffer.alloc(0),
    ].map(compress),
    read: async (bytes) => {
      let total = 0;
      for await (const chunk of decompress(once(bytes), kind, {limits, ...options})) total += chunk.length;
      if (total > limits.maxOutputBytes) throw new Error('more bytes came out than are allowed');
    },
  };
}

function qcow2Samples(): Buffer[] {
  const directory = temporaryDirectory();
  const disk = makeDisk(path.join(directory, 'disk.raw'), 40_960);
  const samples = [
    makeQcow2(disk, 'cluster_size=512'),
    makeQcow2(disk, 'compat=0.10,cluster_size=512'),
    makeQcow2(disk, 'cluster_size=512', true),
    makeQcow2(disk, 'cluster_size=512,compression_type=zstd', true),
    makeQcow2(disk, 'cluster_size=16k,extended_l2=on'),
  ].map((file) => readFileSync(file));
  rmSync(directory, {recursive: true});
  return samples;
}

export function qcow2(): FuzzTarget {
  return {samples: qcow2Samples(), read: (bytes) => decodeQcow2(bytes, 4 << 20)};
}

/** As the unpacking process does it: clusters by native code, on threads. */
export function qcow2ToFile(): FuzzTarget {
  const {directory, file, close} = inFile('image');
  return {
    samples: qcow2Samples(),
    read: async (bytes) => {
      writeFileSync(file, bytes);
      const [source, target] = [openSync(file, 'r'), openSync(path.join(directory, 'disk'), 'w')];
      try {
        await convertQcow2(randomAccess(source), target, {maxBytes: 4 << 20, onPosition: () => undefined});
      } finally {
        closeSync(source);
        closeSync(target);
      }
    },
    close,
  };
}

export function zfs(): FuzzTarget {
  const samples = [manyFiles(3, 300), largeVolume(16_384, 4096)].map((parts) => Buffer.concat([...parts]));
  const places = new Map(samples.map((sample) => [sample.length, recordPlaces(sample)]));
  return {
    samples,
    mutate: (from, random) => {
      const bytes = mutateBytes(from, random);
      const records = places.get(bytes.length);
      return records && random.next() < 0.8 ? resealed(bytes, records) : bytes;
    },
    read: async (bytes) => {
      const decoded = await decodeStreams([bytes], {});
      if (decoded.dataset.begin.kind === 'volume') decodedVolume(decoded);
      else decodedEntries(decoded);
    },
  };
}
