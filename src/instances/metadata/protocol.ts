/**
 * One line in, one answer out: the metadata protocol, versions 1 and 2, which may be mixed on one connection
 * (spec/mdata.md §2, §3). Every request is answered, because the stock client waits for ever.
 */
import {crc32} from 'node:zlib';
import {MetadataRefusal, type MetadataStore} from './store.ts';

const invalid = 'invalid command\n';
const framePattern = /^V2 ([0-9]+) ([0-9a-f]{8}) ([0-9a-f]+) ([A-Z]+)(?: ([A-Za-z0-9+/]*={0,2}))?$/;

/** The whole answer, with its last line end. `line` is without its own. */
export function answerLine(store: MetadataStore, line: string): string {
  const request = line.trimEnd();
  if (request.startsWith('V2 ')) return answerFrame(store, request);
  const [, command = '', argument] = /^(\S*)(?:\s+(.*))?$/s.exec(request) ?? [];
  if (command === 'NEGOTIATE') {
    if (argument === undefined) return invalid;
    return argument === 'V2' ? 'V2_OK\n' : 'FAILURE\n';
  }
  if (command === '' || (command === 'GET' && argument === undefined)) return invalid;
  if (command === 'GET') return plainAnswer(store.get(argument ?? ''));
  if (command === 'KEYS') return plainAnswer(store.keys().join('\n'));
  return 'FAILURE\n';
}

/** A line that is a dot ends the value, so that lines with a dot in front get another. */
function plainAnswer(value: string | undefined): string {
  if (value === undefined) return 'NOTFOUND\n';
  return `SUCCESS\n${value.replace(/^\./gm, '..')}\n.\n`;
}

function answerFrame(store: MetadataStore, line: string): string {
  const [, length, sum, id, code = '', payload = ''] = framePattern.exec(line) ?? [];
  if (id === undefined || length === undefined) return unreadable(line);
  const body = line.slice(line.indexOf(` ${id} `) + 1);
  if (Buffer.byteLength(body) !== Number(length) || checksum(body) !== sum) return unreadable(line);
  try {
    const {code: result, value} = answerRequest(store, code, payload);
    return frame(id, result, value);
  } catch (error) {
    if (error instanceof MetadataRefusal) return frame(id, 'FAILURE', error.message);
    throw error;
  }
}

/** The client whose number can be read at least learns that it was not understood (spec/mdata.md §5). */
function unreadable(line: string): string {
  const id = /^V2 \S+ \S+ ([0-9a-f]+)(?: |$)/.exec(line)?.[1];
  return id === undefined ? invalid : frame(id, 'FAILURE', 'The request is damaged');
}

interface Answer {
  code: 'SUCCESS' | 'NOTFOUND';
  value?: string;
}

function answerRequest(store: MetadataStore, code: string, payload: string): Answer {
  if (code === 'KEYS') return {code: 'SUCCESS', value: store.keys().join('\n')};
  if (code === 'PUT') return putValue(store, payload);
  if (code !== 'GET' && code !== 'DELETE') throw new MetadataRefusal(`Unknown command ${code}`);
  const key = decoded(payload).trim();
  if (key === '') throw new MetadataRefusal(`Invalid ${code} Request`);
  if (code === 'DELETE') {
    store.delete(key);
    return {code: 'SUCCESS', value: 'OK'};
  }
  const value = store.get(key);
  return value === undefined ? {code: 'NOTFOUND'} : {code: 'SUCCESS', value};
}

/** The payload is encoded twice: two words in base64, each of them base64. An empty value is an empty second word. */
function putValue(store: MetadataStore, payload: string): Answer {
  const [, key, value] = /^(\S+)(?: (\S*))?$/.exec(decoded(payload)) ?? [];
  if (key === undefined || value === undefined) throw new MetadataRefusal('Invalid PUT Request');
  const name = decoded(key).trim();
  if (name === '') throw new MetadataRefusal('Invalid PUT Request');
  store.put(name, decoded(value));
  return {code: 'SUCCESS', value: 'OK'};
}

function frame(id: string, code: string, value = ''): string {
  const body = value === '' ? `${id} ${code}` : `${id} ${code} ${Buffer.from(value).toString('base64')}`;
  return `V2 ${body.length} ${checksum(body)} ${body}\n`;
}

function checksum(body: string): string {
  return crc32(body).toString(16).padStart(8, '0');
}

function decoded(base64: string): string {
  return Buffer.from(base64, 'base64').toString();
}
