/** Maps of sparse files in tar: GNU's old headers, and the pax forms 0.0, 0.1 and 1.0 (GNU tar manual, "Sparse Formats"). */
import {ImgctlError} from '../errors.ts';
import type {ByteReader} from './byte-reader.ts';
import {blockSize, numberField} from './tar-header.ts';
import type {PaxAttributes} from './tar-pax.ts';

/** A run of stored bytes; everything between runs is a hole. */
export interface SparseRun {
  offset: number;
  length: number;
}

export interface SparseMap {
  runs: SparseRun[];
  /** Size of the file with its holes. */
  realSize: number;
  /** Bytes of the body that the map itself took. */
  mapBytes: number;
}

const maxRuns = 1_000_000;
const runFieldsLength = 24;

/** The map in a header of type `S`, with the extension blocks that follow it. */
export async function readOldGnuMap(header: Buffer, reader: ByteReader): Promise<SparseMap> {
  const runs = gnuRuns(header, 386, 4);
  const realSize = numberField(header, 483, 12, 'size');
  let isExtended = header[482] === 1;
  while (isExtended) {
    const block = await reader.read(blockSize);
    if (block.length < blockSize) throw invalidMap('it ends too early');
    runs.push(...gnuRuns(block, 0, 21));
    isExtended = block[504] === 1;
    if (runs.length > maxRuns) throw tooManyRuns();
  }
  return {runs: checkedRuns(runs, realSize), realSize, mapBytes: 0};
}

function gnuRuns(block: Buffer, start: number, count: number): SparseRun[] {
  const runs: SparseRun[] = [];
  for (let index = 0; index < count; index++) {
    const position = start + index * runFieldsLength;
    if (block[position] === 0 || block[position + 12] === 0) break;
    const offset = numberField(block, position, 12, 'sparse map');
    runs.push({offset, length: numberField(block, position + 12, 12, 'sparse map')});
  }
  return runs;
}

/** The map that pax records announce; undefined for a file that is not sparse. */
export async function readPaxMap(pax: PaxAttributes, reader: ByteReader): Promise<SparseMap | undefined> {
  const realSize = pax.number('GNU.sparse.realsize') ?? pax.number('GNU.sparse.size');
  if (realSize === undefined) return undefined;
  if (pax.number('GNU.sparse.major') === 1) {
    const {values, mapBytes} = await readInlineMap(reader);
    return {runs: checkedRuns(pairs(values), realSize), realSize, mapBytes};
  }
  const text = pax.bytes('GNU.sparse.map')?.toString('latin1');
  const values = text !== undefined ? text.split(',').map(decimal) : repeatedValues(pax);
  return {runs: checkedRuns(pairs(values), realSize), realSize, mapBytes: 0};
}

/** Form 0.0: offset and numbytes repeat, a pair for each run. */
function repeatedValues(pax: PaxAttributes): number[] {
  const keys = ['GNU.sparse.offset', 'GNU.sparse.numbytes'];
  return pax.records
    .filter(([key]) => keys.includes(key))
    .map(([key, value], index) => {
      if (key !== keys[index % 2]) throw invalidMap('its fields are out of order');
      return decimal(value.toString('latin1'));
    });
}

/** Form 1.0: decimal lines before the data, the first being the number of runs, filled up to a block. */
async function readInlineMap(reader: ByteReader): Promise<{values: number[]; mapBytes: number}> {
  const values: number[] = [];
  let count: number | undefined;
  let line = '';
  let mapBytes = 0;
  while (count === undefined || values.length < 2 * count) {
    const block = await reader.read(blockSize);
    if (block.length < blockSize) throw invalidMap('it ends too early');
    mapBytes += blockSize;
    const lines = (line + block.toString('latin1')).split('\n');
    line = lines.pop() ?? '';
    count ??= decimal(lines.shift() ?? '');
    if (count > maxRuns) throw tooManyRuns();
    for (const text of lines.slice(0, 2 * count - values.length)) values.push(decimal(text));
    if (values.length < 2 * count && line.length > 16) throw invalidMap('a line is too long');
  }
  return {values, mapBytes};
}

function pairs(values: readonly number[]): SparseRun[] {
  if (values.length % 2 !== 0) throw invalidMap('it has half a run');
  if (values.length > 2 * maxRuns) throw tooManyRuns();
  const runs: SparseRun[] = [];
  for (let index = 0; index < values.length; index += 2) {
    runs.push({offset: values[index] ?? 0, length: values[index + 1] ?? 0});
  }
  return runs;
}

/** Runs in order, apart and inside the file; empty ones only mark its end. */
function checkedRuns(runs: SparseRun[], realSize: number): SparseRun[] {
  let end = 0;
  for (const run of runs) {
    if (run.offset < end || run.offset + run.length > realSize)
      throw invalidMap('its runs overlap or leave the file');
    end = run.offset + run.length;
  }
  return runs.filter((run) => run.length > 0);
}

function decimal(text: string): number {
  const value = Number(text);
  if (!/^[0-9]{1,16}$/.test(text) || !Number.isSafeInteger(value))
    throw invalidMap('it has an invalid number');
  return value;
}

function tooManyRuns(): ImgctlError {
  return new ImgctlError('LimitExceeded', `The archive has a sparse file with more than ${maxRuns} runs`);
}

function invalidMap(reason: string): ImgctlError {
  return new ImgctlError('InvalidArchive', `The archive has a sparse file whose map is not valid: ${reason}`);
}
