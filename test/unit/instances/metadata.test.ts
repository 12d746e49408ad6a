/** The metadata protocol, byte by byte as it was captured from the stock client and agent (spec/mdata.md). */
import {closeSync, mkdtempSync, openSync, read, statSync, writeSync} from 'node:fs';
import {connect} from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {promisify} from 'node:util';
import {describe, expect, test} from 'vitest';
import {LineAnswerer} from '../../../src/instances/metadata/connection.ts';
import {answerLine} from '../../../src/instances/metadata/protocol.ts';
import {MetadataServer} from '../../../src/instances/metadata/server.ts';
import {MetadataStore, metadataLimits} from '../../../src/instances/metadata/store.ts';
import {removeTree} from '../../../src/sys/remove-tree.ts';

/** In another thread: the server answers in this one. */
const readSome = promisify(read);

const makeStore = () =>
  new MetadataStore(
    {'sdc:operator-script': '#!/bin/sh\necho hi\n'},
    {'user-script': '#!/bin/sh\ntrue\n', root_authorized_keys: 'k', dots: '.\n..a\nb', empty: '', utf8: 'ü'},
  );

describe('captured exchanges', () => {
  const store = makeStore();
  test.each([
    ['', 'invalid command'],
    ['GET', 'invalid command'],
    ['NEGOTIATE', 'invalid command'],
    ['NEGOTIATE V2', 'V2_OK'],
    ['NEGOTIATE V3', 'FAILURE'],
    ['PUT x y', 'FAILURE'],
    ['NOSUCH', 'FAILURE'],
    ['GET nosuch', 'NOTFOUND'],
    ['GET user-script', 'SUCCESS\n#!/bin/sh\ntrue\n\n.'],
    ['GET dots  \r', 'SUCCESS\n..\n...a\nb\n.'],
    ['V2 29 41fec41d 93a6d55d GET dXNlci1zY3JpcHQ=', 'V2 37 23e3b094 93a6d55d SUCCESS IyEvYmluL3NoCnRydWUK'],
    ['V2 21 f8d7fdec 0f10b8bf GET bm9zdWNo', 'V2 17 16ce0723 0f10b8bf NOTFOUND'],
    [
      'V2 13 17651c94 2cef0c4d KEYS',
      'V2 81 b37f41b3 2cef0c4d SUCCESS dXNlci1zY3JpcHQKcm9vdF9hdXRob3JpemVkX2tleXMKZG90cwplbXB0eQp1dGY4',
    ],
    [
      'V2 69 e5f24005 e4651765 PUT Y0hKbGNHRnlaUzFwYldGblpUcHpkR0YwWlE9PSBjblZ1Ym1sdVp3PT0=',
      'V2 21 30443b2b e4651765 SUCCESS T0s=',
    ],
    [
      'V2 41 951354f1 69072685 GET cHJlcGFyZS1pbWFnZTpzdGF0ZQ==',
      'V2 29 86c49261 69072685 SUCCESS cnVubmluZw==',
    ],
    [
      'V2 41 e1758e0a 31ec23f9 GET c2RjOm9wZXJhdG9yLXNjcmlwdA==',
      'V2 41 06b5ffbc 31ec23f9 SUCCESS IyEvYmluL3NoCmVjaG8gaGkK',
    ],
    ['V2 44 91299915 94576f2f DELETE cHJlcGFyZS1pbWFnZTpzdGF0ZQ==', 'V2 21 897d2a4a 94576f2f SUCCESS T0s='],
    [
      'V2 37 b7a4927f 6556ff83 PUT YzJSak9uVjFhV1E9IGVBPT0=',
      'V2 65 1b60d2a2 6556ff83 FAILURE Q2Fubm90IHVwZGF0ZSB0aGUgInNkYyIgTmFtZXNwYWNlLg==',
    ],
    ['V2 21 0a8d6584 3de5a651 GET ZW1wdHk=', 'V2 16 1ee685e9 3de5a651 SUCCESS'],
  ])('%j is answered %j', (request, answer) => {
    expect(answerLine(store, request)).toBe(`${answer}\n`);
  });

  test('an empty value is kept as one', () => {
    const request = 'V2 53 cda2bbd9 a6c35822 PUT Y0hKbGNHRnlaUzFwYldGblpUcGxjbkp2Y2c9PSA=';
    expect(answerLine(store, request)).toMatch(/^V2 21 [0-9a-f]{8} a6c35822 SUCCESS T0s=\n$/);
    expect(store.get('prepare-image:error')).toBe('');
  });
});

test('a damaged frame is answered with a failure for whoever sent it, never with silence', () => {
  const store = makeStore();
  for (const request of [
    'V2 29 41fec41e 93a6d55d GET dXNlci1zY3JpcHQ=',
    'V2 28 41fec41d 93a6d55d GET dXNlci1zY3JpcHQ=',
    'V2 x y 93a6d55d GET',
  ])
    expect(answerLine(store, request)).toMatch(/^V2 \d+ [0-9a-f]{8} 93a6d55d FAILURE \S+\n$/);
  expect(answerLine(store, 'V2 nothing')).toBe('invalid command\n');
});

test('limits are refusals with a text', () => {
  const store = new MetadataStore({});
  expect(() => store.put('k'.repeat(metadataLimits.keyBytes + 1), '')).toThrow('longer than 256 bytes');
  expect(() => store.put('k', 'v'.repeat(metadataLimits.valueBytes + 1))).toThrow(
    'longer than 1048576 bytes',
  );
  for (let index = 0; index < metadataLimits.keys; index++) store.put(`k${index}`, '');
  expect(() => store.put('one more', '')).toThrow('There are 1000 keys already');
  store.put('k1', 'changed');
  expect(store.get('k1')).toBe('changed');
});

test('a line without end is told once and passed over, and the next is answered', () => {
  const lines = new LineAnswerer(makeStore());
  let answers = '';
  for (let count = 0; count < 40; count++) answers += lines.take('x'.repeat(100_000));
  expect(answers).toBe('invalid command\n');
  expect(lines.take('\nNEGOTIATE')).toBe('');
  expect(lines.take(' V2\n')).toBe('V2_OK\n');
});

test.runIf(process.geteuid?.() === 0)('a terminal and a socket are served side by side', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'imgctl-metadata-'));
  try {
    const store = makeStore();
    store.put('large', 'v'.repeat(300_000));
    await using server = await MetadataServer.start({store, directory, ownerId: 12_345});
    expect(statSync(server.terminalPath)).toMatchObject({uid: 12_345, gid: 12_345});
    const socket = connect(path.join(directory, 'metadata.sock'));
    socket.setEncoding('utf8').write('GET large\n');
    let text = '';
    for await (const chunk of socket) {
      text += chunk;
      if (text.endsWith('\n.\n')) break;
    }
    expect(text.length).toBe('SUCCESS\n'.length + 300_000 + '\n.\n'.length);
    const terminal = openSync(server.terminalPath, 'r+');
    writeSync(terminal, '\nNEGOTIATE V2\n');
    const {promise, resolve} = Promise.withResolvers<void>();
    store.once('put', () => resolve());
    writeSync(
      terminal,
      'V2 69 e5f24005 e4651765 PUT Y0hKbGNHRnlaUzFwYldGblpUcHpkR0YwWlE9PSBjblZ1Ym1sdVp3PT0=\n',
    );
    await promise;
    const answer = Buffer.alloc(200);
    let length = 0;
    while (!answer.toString('latin1', 0, length).endsWith('T0s=\n'))
      length += (await readSome(terminal, answer, length, answer.length - length, null)).bytesRead;
    closeSync(terminal);
    expect(answer.toString('latin1', 0, length)).toBe(
      'invalid command\nV2_OK\nV2 21 30443b2b e4651765 SUCCESS T0s=\n',
    );
  } finally {
    await removeTree(directory);
  }
});
