/** Every reader of foreign bytes, each with good samples of what it reads. */
import {execFileSync} from 'node:child_process';
import {mkdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {gzipSync, zstdCompressSync} from 'node:zlib';
import {readImgadmState} from '../../src/actions/read-imgadm-state.ts';
import {readConfiguration} from '../../src/cli/config.ts';
import {DownloadCache} from '../../src/downloads/download-cache.ts';
import {parseChildMessage} from '../../src/engine/embedded/child-protocol.ts';
import {decoderTools} from '../../src/engine/embedded/decoder-tools.ts';
import {sniffCompression, sniffPayload} from '../../src/formats/sniff.ts';
import {itemsFor, splitCommandLine} from '../../src/generator/command-line.ts';
import {credentialExpressions} from '../../src/generator/credentials.ts';
import {HttpClient} from '../../src/http/http-client.ts';
import {rsaPrivateKey} from '../../src/imgapi/openssh-key.ts';
import {parseManifest} from '../../src/manifest/parse.ts';
import {readUsers} from '../../src/server/users-file.ts';
import {openSource} from '../../src/sources/index.ts';
import {parseChecksumList} from '../../src/verify/checksum-list.ts';
import {OpenPgpVerifier} from '../../src/verify/openpgp.ts';
import {startLoopback} from '../loopback.ts';
import {fakeManifest} from '../support/fake-images.ts';

import {compressed, qcow2, qcow2ToFile, tar, zfs} from './fuzz-formats.ts';
import {busMessages, metadata, varlink} from './fuzz-protocols.ts';
import {type FuzzTarget, inFile, temporaryDirectory} from './fuzz-target.ts';
import {mutateJson} from './mutate.ts';

const xz = (bytes: Buffer) => execFileSync('xz', ['-c'], {input: bytes});
const bzip2 = (bytes: Buffer) => execFileSync('bzip2', ['-c'], {input: bytes});
/** By the libraries that unpacking processes use. */
const natively = {replacements: decoderTools()};

export const fuzzTargets: Readonly<Record<string, () => FuzzTarget | Promise<FuzzTarget>>> = {
  tar,
  gzip: () => compressed('gzip', gzipSync),
  zstd: () => compressed('zstd', zstdCompressSync),
  xz: () => compressed('xz', xz),
  bzip2: () => compressed('bzip2', bzip2),
  'gzip, natively': () => compressed('gzip', gzipSync, natively),
  'zstd, natively': () => compressed('zstd', zstdCompressSync, natively),
  'xz, natively': () => compressed('xz', xz, natively),
  'bzip2, natively': () => compressed('bzip2', bzip2, natively),
  qcow2,
  'qcow2, natively': qcow2ToFile,
  'ZFS streams': zfs,
  'first bytes': () => ({
    samples: [...tar().samples, gzipSync('x'), Buffer.from('514649fb00000003', 'hex')],
    read: (bytes) => [sniffCompression(bytes), sniffPayload(bytes)],
  }),
  manifests: () => ({
    samples: [manifest(1), manifest(2)],
    mutate: mutateJson,
    read: (bytes) => parseManifest(bytes, 'fuzz'),
  }),
  'listings of IMGAPI': () => listing('imgapi'),
  'listings of dsapi': () => listing('dsapi'),
  'checksum lists': checksumLists,
  signatures,
  'signed texts': signedTexts,
  keyrings,
  'messages of D-Bus': busMessages,
  'messages of Varlink': varlink,
  'metadata protocol': metadata,
  'state of imgadm': imgadmState,
  configuration,
  'users of a server': users,
  'private keys': privateKeys,
  'answers of children': () => ({
    samples: [
      {type: 'progress', fraction: 0.5},
      {type: 'log', level: 6, line: 'x'},
      {type: 'done', notices: ['x']},
      {type: 'error', code: 'InvalidArchive', message: 'x', details: {a: 1}},
    ].map((message) => Buffer.from(JSON.stringify(message))),
    mutate: mutateJson,
    read: (bytes) => parseChildMessage(bytes.toString()),
  }),
  'boot wishes': () => ({
    samples: [
      'rd.systemd.pull=raw,machine,verify=no:x:http://h/y quiet "a b"',
      'raw,portable:n:https://h/x\n# c\n',
    ].map((text) => Buffer.from(text)),
    read: (bytes) => [
      itemsFor(splitCommandLine(bytes.toString()), true),
      credentialExpressions(bytes.toString()),
    ],
  }),
};

const openpgpFiles = path.join(import.meta.dirname, '../unit/verify/openpgp-files');
const pgp = (...names: string[]) => names.map((name) => readFileSync(path.join(openpgpFiles, name)));

const uuid = 'aaaaaaaa-1111-4000-8000-00000000000';

function manifest(number: number): Buffer {
  const more = {
    description: 'x',
    homepage: 'http://h/',
    tags: {a: 'b'},
    requirements: {min_platform: {'7.0': '20130308T102805Z'}},
  };
  return Buffer.from(
    JSON.stringify(fakeManifest({uuid: `${uuid}${number}`, more: number === 1 ? more : {}})),
  );
}

/** Over a connection, through the doorway that all sources stand behind. */
async function listing(type: 'imgapi' | 'dsapi'): Promise<FuzzTarget> {
  let answer: Buffer = Buffer.alloc(0);
  const loopback = await startLoopback((_request, response) => {
    response
      .writeHead(200, {'content-type': 'application/json', 'content-length': answer.length})
      .end(answer);
  });
  const directory = temporaryDirectory();
  const cache = new DownloadCache({directory, maxBytes: 1e6, retries: 0, retryDelayMs: 1});
  const http = new HttpClient({userAgent: 'fuzz', retries: {count: 0}});
  const source = openSource(
    {url: type === 'dsapi' ? `${loopback.url}/datasets` : loopback.url, type},
    {http, cache},
  );
  const old = {uuid: `${uuid}3`, urn: 'a:b:c:1', created_at: '2012-01-01T00:00:00.000Z', vendor_uuid: uuid};
  const list =
    type === 'imgapi'
      ? [manifest(1), manifest(2)].map((text) => JSON.parse(text.toString()))
      : [{...old, ...JSON.parse(manifest(1).toString()), v: undefined}];
  return {
    samples: [Buffer.from(JSON.stringify(list)), Buffer.from(JSON.stringify([...list, ...list]))],
    mutate: mutateJson,
    read: async (bytes) => {
      answer = bytes;
      await source.listImages();
    },
    close: async () => {
      await loopback.close();
      rmSync(directory, {recursive: true});
    },
  };
}

function checksumLists(): FuzzTarget {
  const digest = 'a'.repeat(64);
  return {
    samples: [Buffer.from(`${digest}  a\n${digest} *./b c\r\n`), ...pgp('list')],
    read: (bytes) => parseChecksumList(bytes),
  };
}

function signatures(): FuzzTarget {
  const verifier = new OpenPgpVerifier(
    [path.join(openpgpFiles, 'ed.pgp.asc')],
    () => new Date('2026-01-20T00:00:00Z'),
  );
  const [list = Buffer.alloc(0)] = pgp('list');
  return {
    samples: pgp('rsa.gpg', 'rsa.asc', 'ed.gpg', 'ed-text.asc', 'sub.gpg', 'several.gpg'),
    read: (bytes) => verifier.verifyDetached(list, bytes),
  };
}

function signedTexts(): FuzzTarget {
  const verifier = new OpenPgpVerifier(
    [path.join(openpgpFiles, 'ed.pgp.asc')],
    () => new Date('2026-01-20T00:00:00Z'),
  );
  return {
    samples: pgp('clear.asc', 'inline.asc', 'inline.gpg'),
    read: (bytes) => verifier.verifyInline(bytes),
  };
}

function keyrings(): FuzzTarget {
  const {file, close} = inFile('keyring');
  const [list = Buffer.alloc(0), signature = Buffer.alloc(0)] = pgp('list', 'rsa.gpg');
  return {
    samples: pgp('rsa.pgp', 'ed.pgp.asc', 'both.pgp.asc', 'sub.pgp'),
    read: (bytes) => {
      writeFileSync(file, bytes);
      return new OpenPgpVerifier([file]).verifyDetached(list, signature);
    },
    close,
  };
}

function imgadmState(): FuzzTarget {
  const {directory, close} = inFile('');
  mkdirSync(path.join(directory, 'images'));
  const sources = {sources: [{url: 'https://h', type: 'imgapi'}], upgradedToVer: '3.0.0'};
  const record = {manifest: JSON.parse(manifest(1).toString()), zpool: 'zones', source: 'https://h'};
  return {
    samples: [sources, record].map((value) => Buffer.from(JSON.stringify(value))),
    mutate: mutateJson,
    read: (bytes) => {
      for (const name of ['imgadm.conf', `images/zones-${uuid}1.json`])
        writeFileSync(path.join(directory, name), bytes);
      return readImgadmState(directory);
    },
    close,
  };
}

function configuration(): FuzzTarget {
  const {file, close} = inFile('config.json');
  const value = {
    sources: [{url: 'https://h', type: 'imgapi', insecure: false}],
    pools: {fast: {class: 'machine', directory: '/x'}},
    limits: {cacheBytes: 5, redirects: 2},
    trust: [{url: 'https://h', require: 'signature', keyring: '/k'}],
    platform: 'linux/7.0',
  };
  return {
    samples: [Buffer.from(JSON.stringify(value))],
    mutate: mutateJson,
    read: (bytes) => {
      writeFileSync(file, bytes);
      return readConfiguration(file);
    },
    close,
  };
}

function users(): FuzzTarget {
  const {file, close} = inFile('users.json');
  const key = 'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAQQC7';
  const value = {
    alice: {keys: [key], password: `scrypt:1024:8:1:${'A'.repeat(24)}:${'A'.repeat(44)}`},
    bob: {},
  };
  return {
    samples: [Buffer.from(JSON.stringify(value))],
    mutate: mutateJson,
    read: (bytes) => {
      writeFileSync(file, bytes);
      return readUsers(file, () => undefined);
    },
    close,
  };
}

function privateKeys(): FuzzTarget {
  const {file, close} = inFile('key');
  execFileSync('ssh-keygen', ['-q', '-t', 'rsa', '-b', '1024', '-N', '', '-f', file]);
  const samples = [readFileSync(file)];
  close();
  return {samples, read: (bytes) => rsaPrivateKey(bytes.toString(), 'fuzz')};
}
