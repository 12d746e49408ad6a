/** That each wrapper takes away what it promises (spec/sandbox.md §7), and that the probe really attempts it. */
import {execFileSync, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {mkdirSync, mkdtempSync, readFileSync, realpathSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {Sandbox, type SandboxLevel} from '../../src/engine/embedded/sandbox.ts';
import {removeTree} from '../../src/sys/remove-tree.ts';

const isRoot = process.geteuid?.() === 0;
const probe = path.join(import.meta.dirname, '../support/sandbox-probe.mjs');
/** chown, dac_override, fowner, fsetid, mknod, setfcap. */
const sixCapabilities = '000000008800001b';

const workDone = {
  'write in target': 'OK',
  'setgid of another group in target': 'OK',
  'device node in target': 'OK',
  'file capability in target': 'OK',
};
const sealed = {
  ...workDone,
  'create outside': 'EROFS',
  'overwrite outside': 'EROFS',
  'chmod outside': 'EROFS',
  'chown outside': 'EROFS',
  'utime outside': 'EROFS',
  'rename to outside': 'EXDEV',
  'write on another mount': 'EROFS',
  'trusted attribute in target': 'EPERM',
  'attribute outside': 'EROFS',
  'truncate outside': 'EROFS',
  'link from outside': 'EXDEV',
  'unlink outside': 'EROFS',
  'kill parent': 'ESRCH',
  mount: 'EPERM',
  capabilities: sixCapabilities,
  'no new privileges': '1',
};
const expected: Record<SandboxLevel, Record<string, string>> = {
  bwrap: {
    ...sealed,
    'user namespace': 'EPERM',
    connect: 'EPERM',
    'socket of a service': 'EPERM',
    'abstract socket': 'EPERM',
    'filter on system calls': '2',
  },
  unshare: {
    ...sealed,
    connect: 'ENETUNREACH',
    'socket of a service': 'ENOENT',
    'abstract socket': 'ECONNREFUSED',
  },
  setpriv: {
    ...workDone,
    'trusted attribute in target': 'EPERM',
    mount: 'EPERM',
    capabilities: sixCapabilities,
    'no new privileges': '1',
  },
  none: {
    ...Object.fromEntries(Object.keys(sealed).map((name) => [name, 'OK'])),
    'user namespace': 'OK',
    connect: 'OK',
    'socket of a service': 'OK',
    'abstract socket': 'OK',
    capabilities: expect.stringMatching(/^[0-9a-f]{16}$/),
    'no new privileges': '0',
    'filter on system calls': '0',
  },
};

describe.runIf(isRoot)('the sandbox', () => {
  let directory: string;
  const at = (name: string) => path.join(directory, name);
  beforeEach(() => {
    directory = realpathSync(mkdtempSync(path.join(tmpdir(), 'imgctl-sandbox-')));
    for (const name of ['target', 'outside', 'mounted']) mkdirSync(at(name));
    writeFileSync(path.join(at('outside'), 'victim'), 'x');
    execFileSync('mount', ['-t', 'tmpfs', 'none', at('mounted')]);
  });
  afterEach(async () => {
    spawnSync('umount', [path.join(at('target'), 'mnt')]); // mounted where nothing forbade it
    execFileSync('umount', [at('mounted')]);
    await removeTree(directory);
  });

  test.each(['bwrap', 'unshare', 'setpriv', 'none'] as const)('%s', async (level) => {
    const sandbox = new Sandbox([level, 'none'], true);
    const report = await sandbox.report(at('target'));
    if (report.level !== level) return console.log(`skipped: ${level} does not work here`);
    const name = `imgctl-probe-${process.pid}-${level}`;
    const servers = [{port: 0, host: '127.0.0.1'}, {path: `/run/${name}`}, {path: `\0${name}`}].map((place) =>
      createServer((socket) => socket.end()).listen(place),
    );
    await Promise.all(servers.map((server) => once(server, 'listening')));
    const {port} = servers[0]!.address() as {port: number};
    const command = [
      process.execPath,
      probe,
      at('outside'),
      at('mounted'),
      String(port),
      String(process.pid),
      name,
    ];
    const child = await sandbox.start(command, {target: at('target')}, {stdout: 'pipe'});
    let output = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    const end = await child.ended;
    for (const server of servers) server.close();
    expect(end).toMatchObject({exitCode: 0, stderrTail: ''});
    const lines = output.trim().split('\n');
    expect(Object.fromEntries(lines.map((line) => line.split('=') as [string, string]))).toMatchObject(
      expected[level],
    );
  });

  test.each(['bwrap', 'unshare', 'setpriv'] as const)('%s also takes every right away', async (level) => {
    const sandbox = new Sandbox([level, 'none'], true);
    const {level: works} = await sandbox.report(at('target'));
    if (works !== level) return console.log(`skipped: ${level} does not work here`);
    const command = ['grep', '^CapEff', '/proc/self/status'];
    const child = await sandbox.start(command, {target: undefined, capabilities: []}, {stdout: 'pipe'});
    let output = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    expect(await child.ended).toMatchObject({exitCode: 0, stderrTail: ''});
    expect(output.trim()).toMatch(/\b0{16}$/);
  });

  test('who finds only at the work that the best wrapper does not work takes the next', () => {
    mkdirSync(at('target/etc'));
    writeFileSync(at('target/etc/os-release'), 'ID=x');
    execFileSync('tar', ['-cf', at('tree.tar'), '-C', at('target'), 'etc']);
    const program = path.join(import.meta.dirname, '../../bin/imgctl');
    // What bwrap and unshare need is taken away, and nothing else.
    const {status} = spawnSync('setpriv', [
      ...['--bounding-set=-sys_admin', '--inh-caps=-all', program],
      ...['--root', at('root'), 'import-tar', '-m', at('tree.tar'), 'made'],
    ]);
    expect(status).toBe(0);
    expect(readFileSync(at('root/var/lib/machines/made/etc/os-release'), 'utf8')).toBe('ID=x');
  });

  test('what is required and not there is an error', async () => {
    await expect(new Sandbox([], true).report(at('target'))).rejects.toMatchObject({code: 'NotSupported'});
  });
});
