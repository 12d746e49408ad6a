/**
 * What an increment needs of its origin beside the origin's files (spec/zfs-send-stream.md §4), in the file
 * `.NAME.zfs` beside the image: a send stream, compressed with zstd, with every object of the dataset, the contents of
 * directories, tables and attributes, and none of plain files. Its BEGIN carries the facts below as JSON. All of it
 * is covered by the checksum of the stream.
 */
import {closeSync, constants, fsyncSync, openSync} from 'node:fs';
import {errnoOf, ImgctlError} from '../../../errors.ts';
import {ByteReader} from '../../../formats/byte-reader.ts';
import {compress} from '../../../formats/compress.ts';
import {decompress} from '../../../formats/decompress.ts';
import {type Dataset, isContents} from '../../../formats/zfs-stream/dataset.ts';
import {bonusOf, spillOf} from '../../../formats/zfs-stream/objects-view.ts';
import {RecordReader} from '../../../formats/zfs-stream/record-reader.ts';
import {StreamWriter} from '../../../formats/zfs-stream/stream-writer.ts';
import {writeFully} from '../../../sys/copy-file.ts';
import {fletcher4} from '../../../sys/fletcher4.ts';
import {batched} from '../export/batched.ts';
import {readFileFrom} from '../file-source.ts';
import type {ContentStore} from './content-store.ts';

export interface StateFacts {
  /** Of a tree: hex of the name of the directory that was moved up. */
  lifted?: string;
  /** Of a volume: the disk as it was stored. */
  disk?: {size: number; mtimeNs: string};
}

const format = 'imgctl zfs state 1';
const largestAttribute = 65536;
const newFlags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY;

/** Writes the state of a dataset whose tree was walked through. */
export async function writeState(
  file: string,
  dataset: Dataset,
  facts: StateFacts,
  contents?: ContentStore,
): Promise<void> {
  const fd = openSync(file, newFlags, 0o600);
  try {
    let position = 0;
    for await (const chunk of compress(batched(stateRecords(dataset, facts, contents)), 'zstd')) {
      writeFully(fd, chunk, position);
      position += chunk.length;
    }
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

async function* stateRecords(
  dataset: Dataset,
  facts: StateFacts,
  contents: ContentStore | undefined,
): AsyncGenerator<Buffer> {
  const writer = new StreamWriter(fletcher4);
  const {kind = 'file system', guid, name} = dataset.begin;
  yield writer.begin({kind, guid, name, payload: Buffer.from(JSON.stringify({format, ...facts}))});
  for (const number of dataset.objects.keys()) yield* objectRecords(writer, dataset, number, contents);
  yield writer.end();
}

function* objectRecords(
  writer: StreamWriter,
  dataset: Dataset,
  number: number,
  contents: ContentStore | undefined,
): Generator<Buffer> {
  const object = dataset.objects.get(number);
  if (!object) return;
  const {type, bonusType, blockSize, slots} = object;
  const bonus = bonusOf(dataset, object);
  const spill = spillOf(dataset, object);
  yield writer.object({
    object: number,
    type,
    bonusType,
    blockSize,
    slots,
    bonus,
    hasSpill: spill !== undefined,
  });
  if (spill) yield writer.spill(number, spill);
  for (const [offset, piece] of object.blocks ?? []) {
    yield writer.write(number, offset, dataset.scratch.read(piece.at, piece.length));
  }
  // Attributes and long links: what the tree reached and did not take.
  if (isContents(object) && object.isReached && contents?.has(number)) {
    yield writer.write(number, 0, contents.read(number, largestAttribute));
  }
}

/** Applies the state of an installed origin to a new dataset; `OriginNotInstalled` if there is none. */
export async function readState(file: string, dataset: Dataset, originName: string): Promise<StateFacts> {
  const fd = openState(file, originName);
  try {
    const bytes = new ByteReader(
      decompress(
        readFileFrom(fd, () => undefined),
        'zstd',
      ),
    );
    const reader = new RecordReader(bytes, fletcher4);
    let facts: StateFacts | undefined;
    for (let record = await reader.next(); record; record = await reader.next()) {
      if (record.header.type === 'begin') facts = parseFacts(record.payload);
      dataset.apply(record);
    }
    return facts ?? {};
  } catch (error) {
    if (!(error instanceof ImgctlError)) throw error;
    throw new ImgctlError('OriginNotInstalled', `What is kept of the origin in "${file}" is damaged`, {
      cause: error,
      hint: 'Delete the origin and import it again',
    });
  } finally {
    closeSync(fd);
  }
}

function openState(file: string, originName: string): number {
  try {
    return openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    throw new ImgctlError(
      'OriginNotInstalled',
      `The origin "${originName}" is installed without what changes of it are applied to: "${file}" is missing`,
      {cause: error, hint: 'Delete the origin and import it again from its ZFS stream'},
    );
  }
}

function parseFacts(payload: Buffer): StateFacts {
  const end = payload.indexOf(0);
  try {
    const facts = JSON.parse(payload.toString('utf8', 0, end < 0 ? payload.length : end)) as Record<
      string,
      unknown
    >;
    if (facts.format === format) return facts as StateFacts;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new ImgctlError('InvalidArchive', 'The state is of another form');
}
