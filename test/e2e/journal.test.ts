/** What a service tells the journal (ux.md §7.4), received as journald does it. */

import {spawnSync} from 'node:child_process';
import path from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {World} from '../support/world.ts';

const world = new World();
beforeAll(() => world.start());
afterAll(() => world.end());

const failureId = '0b283b343908bfe7f78116b304458a9e';
const warningId = '1253640ee7457f08a12275d38096134f';
const uuid = '99999999-9999-4999-8999-999999999999';

interface Journalled {
  status: number;
  plain: string;
  entries: Record<string, string>[];
}

/** In a mount namespace: the journal of this machine gets nothing. */
function asService(...command: string[]): Journalled {
  const helper = path.join(import.meta.dirname, '../support/journal.py');
  const words = ['--mount', '--propagation', 'private', '/usr/bin/python3', helper, ...command];
  const {stdout, stderr} = spawnSync('unshare', words, {
    env: world.env,
    cwd: world.directory,
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  return JSON.parse(stdout);
}

test('a failure is one entry, with its code, the image and an id', () => {
  expect(asService('imgctl', 'get', uuid)).toEqual({
    status: 3,
    plain: '',
    entries: [
      {
        SYSLOG_IDENTIFIER: 'imgctl',
        MESSAGE: `imgctl get: error (ImageNotInstalled): image "${uuid}" was not found on zpool "zones"\n  hint: installed images: imgctl list`,
        PRIORITY: '3',
        MESSAGE_ID: failureId,
        IMGCTL_ERROR_CODE: 'ImageNotInstalled',
        IMGCTL_IMAGE_UUID: uuid,
      },
    ],
  });
  const [entry, ...others] = asService('imgctl', '-E', 'get', uuid).entries;
  expect(others).toEqual([]);
  expect(entry).toMatchObject({PRIORITY: '3', MESSAGE_ID: failureId, IMGCTL_ERROR_CODE: 'ImageNotInstalled'});
});

test('warnings, records of the log and lines of transfers have theirs', () => {
  const {entries} = asService('imgctl', 'pull-raw', '-m', '--verify=no', `${world.url}/nothing`, 'x');
  expect(entries[0]).toMatchObject({PRIORITY: '4', MESSAGE_ID: warningId});
  const ids = entries.map(({IMGCTL_TRANSFER_ID: id}) => id);
  expect([ids[0], new Set(ids.slice(1))]).toEqual([undefined, new Set(['1'])]);
  world.env.IMGCTL_LOG_LEVEL = 'debug';
  const records = asService('imgctl', 'show', uuid).entries;
  delete world.env.IMGCTL_LOG_LEVEL;
  expect(records[0]).toMatchObject({MESSAGE: 'cli init', PRIORITY: '7'});
});

test('the old names, and a standard error that is no stream of the journal, get plain lines', () => {
  const old = asService('imgadm', 'get', uuid);
  expect([old.entries, old.plain]).toEqual([[], expect.stringContaining('error (ImageNotInstalled)')]);
  const redirected = asService('sh', '-c', `imgctl get ${uuid} 2>&1 | cat >&2`);
  expect([redirected.entries, redirected.plain]).toEqual([
    [],
    expect.stringContaining('error (ImageNotInstalled)'),
  ]);
});

test('where no journal listens, lines go to its stream with their level in front', () => {
  const {entries, plain} = asService('sh', '-c', `rm /run/systemd/journal/socket; imgctl get ${uuid}`);
  expect([entries, plain]).toEqual([
    [],
    expect.stringMatching(/^<3>imgctl get: error \(ImageNotInstalled\)/),
  ]);
});
