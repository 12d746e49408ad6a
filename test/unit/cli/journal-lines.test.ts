/** Where stderr is a stream to the journal (ux.md §6, §7.4). */
import {spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {closeSync, fstatSync, mkdtempSync, openSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterAll, expect, test} from 'vitest';
import {JournalLines} from '../../../src/cli/journal-lines.ts';
import {World} from '../../support/world.ts';

const world = new World();
const directory = mkdtempSync(path.join(tmpdir(), 'imgctl-journal-'));
afterAll(async () => {
  rmSync(directory, {recursive: true});
  await world.end();
});

const listener = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("ready", flush=True)
sys.stdout.buffer.write(s.recv(65536))
`;

test('progress becomes an entry with fields of its own', async () => {
  const socket = path.join(directory, 'socket');
  const child = spawn('/usr/bin/python3', ['-c', listener, socket], {stdio: ['ignore', 'pipe', 'inherit']});
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
  });
  await once(child.stdout, 'data');
  const facts = {uuid: 'u-1', id: 7, phase: 'download', doneBytes: 5, totalBytes: 10} as const;
  expect(new JournalLines('imgctl', socket).sendProgress('two\nlines', facts)).toBe(true);
  await once(child, 'close');
  const entry = Buffer.from(text.slice('ready\n'.length)).toString('latin1');
  expect(entry).toBe(
    `MESSAGE\n\u0009${'\0'.repeat(7)}two\nlines\n${[
      'MESSAGE_ID=',
      'PRIORITY=6',
      'SYSLOG_IDENTIFIER=imgctl',
      'IMGCTL_IMAGE_UUID=u-1',
      'IMGCTL_TRANSFER_ID=7',
      'IMGCTL_PHASE=download',
      'IMGCTL_BYTES_DONE=5',
      'IMGCTL_BYTES_TOTAL=10',
    ].join('\n')}\n`.replace('MESSAGE_ID=', /MESSAGE_ID=[0-9a-f]{32}/.exec(entry)?.[0] ?? 'none'),
  );
});

test('without a journal the line is for the stream', () => {
  expect(new JournalLines('imgctl', path.join(directory, 'none')).sendProgress('x', undefined)).toBe(false);
});

test('lines have the level of what they say', () => {
  const file = path.join(directory, 'stderr');
  const run = (args: string[], isJournal: boolean): string => {
    const fd = openSync(file, 'w');
    const {dev, ino} = fstatSync(fd);
    const env = {...world.env, JOURNAL_STREAM: isJournal ? `${dev}:${ino}` : '1:2'};
    spawnSync('imgctl', args, {env, cwd: world.directory, stdio: ['ignore', 'ignore', fd]});
    closeSync(fd);
    return readFileSync(file, 'utf8');
  };
  const plain = run(['get', 'nosuch'], false);
  expect(plain).toMatch(/^imgctl get: error \(/);
  expect(run(['get', 'nosuch'], true)).toBe(plain.replace(/^(?=.)/gm, '<3>'));
});
