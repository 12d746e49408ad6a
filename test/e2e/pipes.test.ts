/** Pipes, closed readers and signals (ux.md §11, §12), with the real programs. */
import {spawnSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {heldProxy} from '../screens/held-proxy.ts';
import {startFileServer} from '../support/file-server.ts';
import {Terminal} from '../support/terminal.ts';
import {World} from '../support/world.ts';

const world = new World();
beforeAll(async () => {
  await world.start();
  const machines = path.join(world.root, 'var/lib/machines');
  mkdirSync(path.join(machines, 'tree'), {recursive: true});
  writeFileSync(path.join(machines, 'tree/file'), 'contents');
  writeFileSync(path.join(machines, 'disk.raw'), Buffer.alloc(4 << 20, 7));
  const {uuid} = world.publish(Buffer.alloc(1024, 7), {name: 'base'});
  expect(world.run(['import', '-q', uuid]).status).toBe(0);
});
afterAll(() => world.end());

/** By bash, whose `PIPESTATUS` tells how the first ended. */
function pipeline(text: string): {stdout: string; stderr: string; status: string} {
  const {stdout, stderr} = spawnSync('bash', ['-c', `${text}; echo "status \${PIPESTATUS[0]}"`], {
    cwd: world.directory,
    env: world.env,
    encoding: 'utf8',
  });
  const [, before = '', status = ''] = /^(.*)status (\d+)\n$/s.exec(stdout) ?? [];
  return {stdout: before, stderr, status};
}

describe('a reader that goes away', () => {
  test.each(['list', 'avail', 'list -j', 'help', 'list -o help'])('of "%s" is no error', (words) => {
    expect(pipeline(`imgctl ${words} | true`)).toEqual({stdout: '', stderr: '', status: '0'});
  });

  test('of an export is one', () => {
    const {status, stderr} = pipeline('imgctl export-raw -m disk - | head -c 1 >/dev/null');
    expect(status).toBe('1');
    expect(stderr).toContain('The output was closed by its reader before the export was complete');
  });
});

describe('an export to a pipe tells the digest of what was written', () => {
  test.each(['export-raw -m disk', 'export-tar -m tree', 'export-tar -m --format=gzip tree -'])(
    '%s',
    (words) => {
      const {status, stdout, stderr} = pipeline(`imgctl ${words} | sha256sum`);
      expect(status).toBe('0');
      const [digest] = stdout.split(' ');
      expect(stderr).toMatch(new RegExp(`\nWrote \\d+\\.\\d \\w+, sha256 ${digest}\n`));
    },
  );

  test('not into a file, not with -q, not under the old name', () => {
    const file = path.join(world.directory, 'out');
    for (const words of [
      `imgctl export-raw -m disk >${file}`,
      'imgctl export-raw -q -m disk | cat >/dev/null',
      'importctl export-raw -m disk | cat >/dev/null',
    ])
      expect(pipeline(words).stderr).not.toContain('sha256');
    const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
    expect(digest(readFileSync(file))).toBe(digest(Buffer.alloc(4 << 20, 7)));
  });
});

test('rows go to xargs', () => {
  expect(pipeline('imgctl list -H -o uuid | xargs -n1 imgctl verify')).toMatchObject({
    status: '0',
    stdout: expect.stringMatching(/^STATUS .*\nok /),
  });
});

test('bytes of images do not go to a terminal', async () => {
  const terminal = new Terminal({
    directory: world.directory,
    env: {...world.env, TERM: 'screen'},
    columns: 80,
    command: ['sh', '-c', 'imgctl export-raw -m disk; echo "status $?"; read -r _'],
  });
  try {
    expect(await terminal.until((screen) => /status \d+$/.test(screen))).toContain(
      'Refusing to write archive to TTY.',
    );
  } finally {
    terminal.close();
  }
});

describe('a signal while bytes are awaited', () => {
  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 143],
  ] as const)('%s stops cleanly with %i and says how to go on', async (signal, status) => {
    const content = Buffer.alloc(1 << 20, 3);
    const server = await startFileServer(content);
    server.faults.push({stallAfter: 1000});
    try {
      const outcome = await world.runWhile(
        ['pull-raw', '-m', '--verify=no', `${server.url}/held.raw`],
        async (child) => {
          await server.asked(1);
          child.kill(signal);
        },
      );
      expect(outcome.status).toBe(status);
      expect(outcome.stderr).toMatch(
        /\nStopped\. Nothing was installed; .*kept\.\n {2}continue with: imgctl pull-raw -m /,
      );
      expect(world.names('machines').filter((name) => name.includes('held'))).toEqual([]);
    } finally {
      await server.close();
    }
  });

  test('as JSON it is one object with the same', async () => {
    const server = await startFileServer(Buffer.alloc(1 << 20, 3));
    server.faults.push({stallAfter: 1000});
    try {
      const words = ['-E', 'pull-raw', '-m', '--verify=no', `${server.url}/held.raw`];
      const outcome = await world.runWhile(words, async (child) => {
        await server.asked(1);
        child.kill('SIGINT');
      });
      const last = outcome.stderr.trim().split('\n').at(-1) ?? '';
      expect(JSON.parse(last).err).toMatchObject({
        code: 'Interrupted',
        exitStatus: 130,
        retryable: true,
        hints: [expect.stringMatching(/^imgctl -E pull-raw /)],
      });
    } finally {
      await server.close();
    }
  });

  test('SIGUSR1 has a line of progress printed at once, and disturbs nothing', async () => {
    const size = 4 << 20;
    const {uuid} = world.publish(Buffer.alloc(size, 6), {name: 'asked'});
    const proxy = await heldProxy(world.url, 0.5);
    world.useSources([proxy.url]);
    let lines = '';
    const {status} = await world.runWhile(['import', uuid], async (child) => {
      child.stderr?.on('data', (chunk) => {
        lines += chunk;
      });
      await expect.poll(() => world.partialBytes(), {timeout: 30_000}).toBe(size / 2);
      const before = lines;
      child.kill('SIGUSR1');
      await expect.poll(() => lines.slice(before.length), {timeout: 30_000}).toContain('50%');
      proxy.letGo();
    });
    expect(status).toBe(0);
  });
});
