/** The importctl family as users and other processes see it (spec/importctl.md), through the built programs. */

import type {ChildProcess} from 'node:child_process';
import {createHash} from 'node:crypto';
import {mkdirSync, readFileSync, symlinkSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {type ServedFiles, serveFiles} from '../served-files.ts';
import {type Outcome, World} from '../support/world.ts';

const disk = Buffer.alloc(300_000, 'disk');

let world: World;
let server: ServedFiles;
let letGo: () => void;
beforeEach(async () => {
  world = new World();
  server = await serveFiles();
  server.files.set('/disk.raw', {body: disk});
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  server.files.set('/held.raw', {body: disk, after: held});
});
afterEach(async () => {
  letGo();
  await server.close();
  await world.end();
});

/** Not `world.run`: the server lives in this process, which must not stand still. */
async function run(program: string, ...args: string[]): Promise<Outcome> {
  return world.runWhile(args, async () => undefined, program);
}

function printed(child: ChildProcess, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let seen = '';
    child.stderr?.on('data', (chunk) => {
      seen += chunk;
      if (seen.includes(text)) resolve();
    });
    child.on('close', () => reject(new Error(`"${text}" did not come: ${seen}`)));
  });
}

/** Starts a pull that gets no byte, interrupts it when it has begun, and resolves with how the program ended. */
async function interruptedPull(program: string): Promise<Outcome> {
  const args = ['pull-raw', '-m', '--verify=no', `${server.url}/held.raw`, 'held'];
  return world.runWhile(
    args,
    async (child) => {
      await printed(child, 'Operating on');
      child.kill('SIGINT');
    },
    program,
  );
}

async function transfers(): Promise<string> {
  return (await run('imgctl', 'list-transfers', '--no-legend')).stdout;
}

describe('Ctrl-C', () => {
  test('under the name importctl leaves the transfer to its process, says how to cancel, and ends with 1', async () => {
    const outcome = await interruptedPull('importctl');
    expect(outcome.status).toBe(1);
    expect(outcome.stderr).toMatch(
      /Continuing download in the background\. Use "importctl cancel-transfer 1" to abort transfer\.\n$/,
    );
    expect(await transfers()).toMatch(/^1 \S+ pull-raw machine held http:\S+\/held\.raw\n$/);
    letGo();
    await expect.poll(transfers, {timeout: 10_000}).toBe('');
    expect(world.machines()).toContain('held.raw');
  });

  test('in imgctl cancels the transfer, and nothing of it is seen', async () => {
    const outcome = await interruptedPull('imgctl');
    expect(outcome.status).toBe(130);
    expect(outcome.stderr).toMatch(
      /\nStopped\. Nothing was installed; what was downloaded is kept\.\n {2}continue with: imgctl .*pull-raw .*\n$/,
    );
    expect(await transfers()).toBe('');
    expect(world.machines()).toEqual([]);
  });
});

describe('a transfer', () => {
  test('is seen and cancelled by other processes, and leaves nothing when the cancelling one is done', async () => {
    let cancelled: Outcome | undefined;
    const outcome = await world.runWhile(
      ['-m', '--verify=no', 'pull-raw', `${server.url}/held.raw`],
      async (child) => {
        await printed(child, 'Operating on');
        const {stdout} = await run('importctl', '--json=short');
        expect(JSON.parse(stdout)).toMatchObject([
          {id: 1, type: 'pull-raw', class: 'machine', local: 'held', remote: `${server.url}/held.raw`},
        ]);
        expect((await run('imgctl', 'list-transfers', '-S')).stdout).toBe('No transfers.\n');
        cancelled = await run('importctl', 'cancel-transfer', '1', '2');
        expect(world.machines()).toEqual([]);
      },
      'importctl',
    );
    expect(cancelled).toMatchObject({status: 1, stderr: 'Could not cancel transfer: No transfer by id 2\n'});
    expect(outcome.status).toBe(1);
    expect(outcome.stderr).toMatch(/Transfer aborted\.\nExiting\.\n$/);
  });

  test('of a URL that is being pulled is refused', async () => {
    let second: Outcome | undefined;
    await world.runWhile(
      ['-m', '--verify=no', 'pull-raw', `${server.url}/held.raw`],
      async (child) => {
        await printed(child, 'Operating on');
        second = await run('importctl', '-m', '--verify=no', 'pull-raw', `${server.url}/held.raw`, 'other');
        letGo();
      },
      'importctl',
    );
    expect(second?.stderr).toBe(
      `Failed to transfer image: Transfer for ${server.url}/held.raw already in progress.\n`,
    );
    expect(second?.status).toBe(1);
    expect(world.machines().filter((name) => !name.startsWith('.'))).toEqual(['held.raw']);
  });

  test('reads a pipe to its end and writes one', async () => {
    writeFileSync(path.join(world.directory, 'disk'), disk);
    const script =
      'cat disk | importctl -mq import-raw - piped && importctl -mq export-raw piped | cmp - disk';
    const outcome = await world.runWhile(['-euc', script], async () => undefined, 'bash');
    expect(outcome).toMatchObject({status: 0, stdout: '', stderr: ''});
  });

  test('of an import tells what comes in by the name that it has', async () => {
    writeFileSync(path.join(world.directory, 'disk'), disk);
    const outcome = await world.runWhile(
      ['-c', 'importctl -m import-raw - x <disk'],
      async () => undefined,
      'bash',
    );
    expect(outcome.stderr).toContain(`Importing '${world.directory}/disk', saving as 'x'.`);
    expect(outcome.stderr).toContain('Wrote 292.9K.');
  });

  test('that failed under imgctl says why in our words, under importctl in those of importd', async () => {
    writeFileSync(path.join(world.directory, 'bad.tar'), 'nonsense');
    const own = await run('imgctl', 'import-tar', '-m', 'bad.tar');
    expect(own).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('The data is not a tar archive\n'),
    });
    const old = await run('importctl', 'import-tar', '-m', 'bad.tar');
    expect(old).toMatchObject({
      status: 1,
      stderr: expect.stringContaining(
        "Unrecognized archive format\n'tar' failed with exit status 1.\nExiting.\n",
      ),
    });
  });
});

describe('export', () => {
  test('that fails leaves an older file as it was, and none where there was none', async () => {
    const file = path.join(world.directory, 'out.raw');
    writeFileSync(file, 'older');
    const failed = await run('importctl', '-m', 'export-raw', 'nosuch', file);
    expect(failed).toMatchObject({status: 1, stderr: expect.stringContaining('Image nosuch not found.\n')});
    expect(readFileSync(file, 'utf8')).toBe('older');
  });

  test('to standard output has no JSON behind the image', async () => {
    writeFileSync(path.join(world.directory, 'disk'), disk);
    await run('importctl', '-mq', 'import-raw', 'disk', 'd');
    expect(await run('imgctl', 'export-raw', '-mj', 'd')).toMatchObject({
      status: 2,
      stdout: '',
      stderr: expect.stringContaining('(Usage): The image goes to standard output, so no JSON can go there'),
    });
    expect((await run('importctl', 'export-raw', '-mqj', 'd')).stdout).toBe(disk.toString());
    const {stdout, stderr} = await run('imgctl', 'export-raw', '-mqj', 'd', 'd.raw');
    expect({stderr, ...JSON.parse(stdout)}).toMatchObject({stderr: '', action: 'export-raw', status: 'done'});
  });

  test('names the file it will be in its log', async () => {
    writeFileSync(path.join(world.directory, 'disk'), disk);
    expect((await run('importctl', '-mq', 'import-raw', 'disk', 'd')).stderr).toBe('');
    const {stderr} = await run('importctl', '-m', 'export-raw', 'd', 'd.raw.zst');
    expect(stderr).toContain(`saving to '${world.directory}/d.raw.zst' with compression 'zstd'.`);
  });
});

test('the limit of the configuration counts for every verb that stores', async () => {
  world.configure({limits: {unpackedBytes: 1000}});
  writeFileSync(path.join(world.directory, 'disk'), disk);
  for (const args of [
    ['import-raw', 'disk'],
    ['pull-raw', '--verify=no', `${server.url}/disk.raw`],
  ]) {
    const {status, stderr} = await run('imgctl', '-q', ...args, '-m');
    expect({args, status, stderr}).toEqual({
      args,
      status: 1,
      stderr: expect.stringContaining('limit of 1000'),
    });
  }
  expect(world.machines()).toEqual([]);
});

describe('list-images', () => {
  test('lists what anybody put there, download copies and the host too', async () => {
    mkdirSync(path.join(world.root, 'var/lib/machines/tree'), {recursive: true});
    mkdirSync(path.join(world.root, 'var/lib/machines/.#tree0123456789abcdef'));
    mkdirSync(path.join(world.root, 'var/lib/extensions'), {recursive: true});
    writeFileSync(path.join(world.root, 'var/lib/extensions/ext.raw'), disk, {mode: 0o444});
    symlinkSync('tree', path.join(world.root, 'var/lib/machines/alias'));
    await run('importctl', '-mq', '--verify=no', 'pull-raw', `${server.url}/disk.raw`);
    const {stdout} = await run('importctl', 'list-images', '--json=short');
    const sha256 = createHash('sha256').update(disk).digest('hex');
    expect(JSON.parse(stdout)).toContainEqual(
      expect.objectContaining({name: 'disk', usage: expect.any(Number), verification: 'none', sha256}),
    );
    expect(JSON.parse(stdout).at(-1)).not.toHaveProperty('verification');
    const rows: {class: string; name: string; ro: boolean; type: string}[] = JSON.parse(stdout);
    expect(rows.map((row) => [row.class, row.name.replace(/http.*/, 'URL'), row.type, row.ro])).toEqual([
      ['machine', '.host', expect.any(String), true],
      ['machine', '.raw-URL', 'raw', true],
      ['machine', 'alias', 'directory', false],
      ['machine', 'disk', 'raw', false],
      ['machine', 'tree', 'directory', false],
      ['sysext', 'ext', 'raw', true],
    ]);
  });
});

describe('the program importctl', () => {
  test('tells its version and its formats in two lines', async () => {
    const {stdout, status} = await run('importctl', '--version');
    expect({stdout, status}).toEqual({
      stdout: expect.stringMatching(/^imgctl (\S+) \(\1\)\n([+-][A-Z0-9]+( |\n))+$/),
      status: 0,
    });
  });
});

describe('options', () => {
  test.each([
    [['-M', 'web'], '--machine needs the bus of another host or container, which is not supported'],
    [['-H', 'web'], '--host needs the bus of another host or container, which is not supported'],
    [['pull-oci', 'x'], 'pull-oci is not supported.'],
    [['-m', 'pull-raw'], 'Too few arguments.'],
    [['--bogus'], "importctl: unrecognized option '--bogus'"],
    [['--ver'], "importctl: option '--ver' is ambiguous; possibilities: '--verify' '--version'"],
  ])('%j of importctl ends with 1 and a text of one line', async (args, text) => {
    expect(await run('importctl', ...args)).toMatchObject({status: 1, stdout: '', stderr: `${text}\n`});
  });

  test('of usage end with 2 in imgctl', async () => {
    expect(await run('imgctl', 'pull-raw', '-m')).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/^imgctl pull-raw: error \(Usage\): Too few arguments\.\n {2}usage: /),
    });
    expect((await run('imgctl', 'pull-oci', 'x')).stderr).toContain('NotSupported');
  });

  test('--user keeps to the directories of the user, also for root', async () => {
    delete world.env.IMGCTL_ROOT;
    writeFileSync(path.join(world.directory, 'disk'), disk);
    world.env.XDG_RUNTIME_DIR = world.directory;
    expect(await run('importctl', '--user', '-mq', 'import-raw', 'disk', 'own')).toMatchObject({status: 0});
    const {stdout} = await run('importctl', '--user', '-m', '--no-legend', 'list-images');
    expect(stdout).toContain(`${world.directory}/.local/state/machines/own.raw`);
  });
});
