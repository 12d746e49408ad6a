/** Import and install as users and their scripts see them (spec/imgadm.md §7), through the built programs. */

import {type ChildProcess, spawnSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {gzipSync, zstdCompressSync} from 'node:zlib';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {type FakeImage, type FakeServer, fakeManifest, startFakeServer} from '../support/fake-images.ts';
import {type Outcome, World} from '../support/world.ts';

const base: FakeImage = {
  uuid: '11111111-1111-4111-8111-111111111111',
  name: 'base-64',
  version: '16.1.0',
  bytes: Buffer.alloc(58, 'b'),
};
const webapp: FakeImage = {
  uuid: '22222222-2222-4222-8222-222222222222',
  name: 'webapp',
  version: '2.0.0',
  bytes: Buffer.alloc(57, 'w'),
  origin: base.uuid,
};
const nobody = '99999999-9999-4999-8999-999999999999';

let world: World;
let server: FakeServer;
beforeEach(async () => {
  world = new World();
  server = await startFakeServer([base, webapp]);
  world.useSources([`${server.url}/`]);
});
afterEach(async () => {
  await server.close();
  await world.end();
});

/** Not `world.run`: the server lives in this process, which must not stand still. */
async function run(args: readonly string[], program = 'imgctl'): Promise<Outcome> {
  return world.runWhile(args, async () => undefined, program);
}

/** Resolves when the child has printed the text on stdout. */
function printed(child: ChildProcess, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let seen = '';
    child.stdout?.on('data', (chunk) => {
      seen += chunk;
      if (seen.includes(text)) resolve();
    });
    child.on('close', () => reject(new Error(`"${text}" did not come: ${seen}`)));
  });
}

const chainText = (url: string): string => `\
Importing 22222222-2222-4222-8222-222222222222 (webapp@2.0.0) from "${url}"
Gather image 22222222-2222-4222-8222-222222222222 ancestry
Must download and install 2 images (115.0 B)
Downloaded image 11111111-1111-4111-8111-111111111111 (58.0 B)
Downloaded image 22222222-2222-4222-8222-222222222222 (57.0 B)
Imported image 11111111-1111-4111-8111-111111111111 (base-64@16.1.0)
Imported image 22222222-2222-4222-8222-222222222222 (webapp@2.0.0)
`;

/** Downloads overlap, so the lines about them come in any order; all others do not. */
function inOrder(stdout: string): string {
  const lines = stdout.split('\n');
  const first = lines.findIndex((line) => line.startsWith('Downloaded'));
  const downloads = lines.filter((line) => line.startsWith('Downloaded')).sort();
  const others = lines.filter((line) => !line.startsWith('Downloaded'));
  return [...others.slice(0, first), ...downloads, ...others.slice(first)].join('\n');
}

describe('import', () => {
  test.each(['imgctl', 'imgadm'])('%s prints the measured lines, the asked image last', async (program) => {
    const outcome = await run(['import', '-q', webapp.uuid], program);
    expect([inOrder(outcome.stdout), outcome.stderr, outcome.status]).toEqual([
      chainText(`${server.url}/`),
      '',
      0,
    ]);
    expect(outcome.stdout.trimEnd().split('\n').at(-1)).toBe(`Imported image ${webapp.uuid} (webapp@2.0.0)`);
    const again = await run(['import', '-q', '-P', 'zones', webapp.uuid], program);
    expect([again.stdout, again.status]).toEqual([
      `Image ${webapp.uuid} (webapp 2.0.0) is already installed, skipping\n`,
      0,
    ]);
  });

  test('never fetches an origin again that is installed', async () => {
    expect((await run(['import', '-q', base.uuid])).status).toBe(0);
    const outcome = await run(['import', '-q', webapp.uuid]);
    expect(outcome.stdout).toContain(
      `Image ${base.uuid} already installed\nMust download and install 1 image (57.0 B)\n`,
    );
    expect(server.requests.filter((line) => line === `GET /images/${base.uuid}/file`)).toHaveLength(1);
  });

  test('shows lines about single images with the bar on a terminal, and none of them on stdout', async () => {
    writeFileSync(path.join(world.directory, 'show'), `imgctl import ${webapp.uuid} >out`);
    const child = await world.runWhile(['-qec', 'sh show', '/dev/null'], async () => undefined, 'script');
    expect(child.status).toBe(0);
    const out = readFileSync(path.join(world.directory, 'out'), 'utf8');
    expect(out).toBe(chainText(`${server.url}/`).split('Downloaded')[0]);
    expect(child.stdout).toContain(`Imported image ${webapp.uuid} (webapp@2.0.0)`);
  });

  test('of an image whose origin the source does not have fails by its code', async () => {
    server.images = [webapp];
    const outcome = await run(['import', webapp.uuid]);
    expect([outcome.status, outcome.stderr.split('\n')[0]]).toEqual([
      1,
      `imgctl import: error (OriginNotFoundInSource): origin image "${base.uuid}" does not exist in image source "${server.url}/"`,
    ]);
  });

  test('takes an origin that is not active any more, but not such an image itself', async () => {
    server.images = [{...base, more: {state: 'disabled'}}, webapp];
    const outcome = await run(['import', base.uuid], 'imgadm');
    expect(outcome.stderr.split('\n')[0]).toBe(
      `imgadm import: error (ActiveImageNotFound): an active image "${base.uuid}" was not found in image sources`,
    );
    expect((await run(['import', webapp.uuid])).status).toBe(0);
  });

  test.each([
    ['IMGADM_TEST_GET_META_COSMIC_RAY', '0,1', base.uuid, []],
    ['IMGADM_TEST_DOWNLOAD_COSMIC_RAY', ' 0, 1', webapp.uuid, [base.uuid]],
  ])('fails where a test asks for it with %s=%s', async (name, list, struck, installed) => {
    world.env[name] = list;
    const outcome = await run(['import', '-q', webapp.uuid]);
    expect([outcome.status, outcome.stderr.split('\n')[0]]).toEqual([
      1,
      `imgctl import: error (DownloadError): image ${struck} was hit by a cosmic ray (${name})`,
    ]);
    delete world.env[name];
    expect(world.installed()).toEqual(installed);
    expect((await run(['import', '-q', webapp.uuid])).status).toBe(0);
  });

  test('stops at a cycle of origins', async () => {
    server.images = [{...base, origin: webapp.uuid}, webapp];
    const outcome = await run(['import', webapp.uuid]);
    expect(outcome.stderr).toContain(
      `error (InvalidManifest): image "${webapp.uuid}" has a cycle of origins`,
    );
  });

  test('stops at the configured length of a chain of origins', async () => {
    world.configure({sources: [{url: server.url}], limits: {originImages: 1}});
    const outcome = await run(['import', webapp.uuid]);
    expect(outcome.stderr).toContain(`error (LimitExceeded): image "${webapp.uuid}" has more than 1 origins`);
  });

  test('of an image for another platform is refused where a platform is configured, and nowhere else', async () => {
    const newer = {requirements: {min_platform: {'7.0': '20300101T000000Z'}}};
    server.images = [{...base, more: newer}, webapp];
    const sources = [{url: server.url}];
    world.configure({sources, platform: '7.0/20240101T000000Z'});
    const outcome = await run(['import', webapp.uuid]);
    expect([outcome.status, outcome.stderr.split('\n')[0]]).toEqual([
      1,
      'imgctl import: error (MinPlatform): current platform version, 7.0/20240101T000000Z, does not satisfy requirements.min_platform={"7.0":"20300101T000000Z"}',
    ]);
    const installed = await run(installArgs({...fakeManifest(base), ...newer}, base.bytes ?? Buffer.of()));
    expect(installed.stderr).toContain('error (MinPlatform)');
    world.configure({sources});
    expect((await run(['import', webapp.uuid])).status).toBe(0);
  });

  test('aborts at the first failure, says so on stdout, and keeps what was installed', async () => {
    server.intercept = (request, response) => {
      if (request.url !== `/images/${webapp.uuid}/file`) return false;
      response.writeHead(500).end('{"code":"InternalError","message":"boom"}');
      return true;
    };
    const outcome = await run(['import', webapp.uuid]);
    const message = `${server.url}/: boom`;
    expect(outcome.stdout.trimEnd().split('\n').at(-1)).toBe(`Aborting (${message})`);
    expect(outcome.stderr.split('\n')[0]).toBe(`imgctl import: error (InternalError): ${message}`);
    expect(world.machines()).toEqual([`${base.uuid}.raw`]);
  });

  test('-C asks for a channel over the one of the URL, and names it', async () => {
    world.useSources([`${server.url}/?channel=release`]);
    const outcome = await run(['import', '-C', 'dev', base.uuid]);
    expect(outcome.stdout.split('\n')[0]).toBe(
      `Importing ${base.uuid} (base-64@16.1.0) from "${server.url}/?channel=release", channel "dev"`,
    );
    expect(server.requests).toEqual([
      `GET /images/${base.uuid}?channel=dev`,
      `GET /images/${base.uuid}/file?channel=dev`,
    ]);
  });

  test('-S asks these sources instead of the configured ones, in order', async () => {
    const first = await startFakeServer([]);
    world.useSources(['http://127.0.0.1:1']);
    const outcome = await run(['import', '-S', first.url, '--source', server.url, base.uuid]);
    await first.close();
    expect([outcome.status, first.requests]).toEqual([0, [`GET /images/${base.uuid}`]]);
    expect(outcome.stdout).toContain(`from "${server.url}"\n`);
  });

  test('--zstream takes a plain file, compares it all the same, and refuses a compressed one', async () => {
    const packed = {...base, uuid: nobody, bytes: gzipSync('x'.repeat(600))};
    server.images = [
      {...base, more: {files: [{sha1: '0'.repeat(40), size: 58, compression: 'none'}]}},
      packed,
    ];
    const wrong = await run(['import', '--zstream', base.uuid]);
    expect(wrong.stderr).toContain('error (DownloadError): image 11111111');
    server.images = [base, packed];
    expect((await run(['import', '--zstream', base.uuid])).status).toBe(0);
    const refused = await run(['import', '--zstream', nobody]);
    expect(refused.stderr.split('\n')[0]).toBe(
      `imgctl import: error (InvalidArgument): the file of image "${nobody}" is compressed (gzip), though --zstream says that it is not`,
    );
    expect(world.machines()).toEqual([`${base.uuid}.raw`]);
  });

  test.each(['busybox', 'busybox:latest', 'docker.io/library/busybox', 'localhost:5000/a/b:1'])(
    'refuses the docker reference %s by name',
    async (reference) => {
      const outcome = await run(['import', reference], 'imgadm');
      expect([outcome.status, outcome.stderr.split('\n')[0]]).toEqual([
        1,
        `imgadm import: error (NotSupported): docker is not supported: image "${reference}"`,
      ]);
    },
  );

  test.each(['FOO BAR', base.uuid.replace('1', 'A'), ''])(
    'refuses "%s", which names nothing',
    async (text) => {
      const outcome = await run(['import', text], 'imgadm');
      expect([outcome.status, outcome.stderr.split('\n')[0]]).toEqual([
        2,
        `imgadm import: error (Usage): invalid image-id arg: ${JSON.stringify(text)}`,
      ]);
    },
  );
});

test('imgctl refuses what can only be a reference to a docker registry by name', async () => {
  const outcome = await run(['import', 'docker.io/library/busybox']);
  expect(outcome.stderr).toContain(
    '(NotSupported): docker is not supported: image "docker.io/library/busybox"',
  );
});

describe('names in pools that are not of class machine', () => {
  const extension = {...base, name: 'tools'};
  const stored = (outcome: Outcome): unknown => JSON.parse(outcome.stdout);

  test('an image has the name of its manifest there, or the one that is asked for', async () => {
    server.images = [extension, {...webapp, origin: undefined} as unknown as FakeImage];
    expect((await run(['import', '-P', 'portable', base.uuid])).status).toBe(0);
    expect((await run(['import', '-P', 'portable', '--name', 'app', webapp.uuid])).status).toBe(0);
    expect(world.names('portables')).toEqual(['app.raw', 'tools.raw']);
    expect(stored(await run(['get', '-P', 'portable', webapp.uuid]))).toMatchObject({zpool: 'portable'});
    const deleted = await run(['delete', '-P', 'portable', webapp.uuid]);
    expect([deleted.status, world.names('portables')]).toEqual([0, ['tools.raw']]);
  });

  test('a name that is taken is refused before anything is fetched', async () => {
    server.images = [extension, {...base, uuid: nobody, name: 'tools'}];
    expect((await run(['import', '-P', 'sysext', base.uuid])).status).toBe(0);
    const outcome = await run(['import', '-P', 'sysext', nobody]);
    expect([outcome.status, outcome.stderr.split('\n')[0]]).toEqual([
      1,
      'imgctl import: error (ImageAlreadyExists): zpool "sysext" already has an image named "tools"',
    ]);
    expect(server.requests).not.toContain(`GET /images/${nobody}/file`);
    expect((await run(['import', '-P', 'sysext', '--name', 'tools2', nobody])).status).toBe(0);
  });

  test('an image is in one pool only', async () => {
    expect((await run(['import', base.uuid])).status).toBe(0);
    const outcome = await run(['import', '-P', 'confext', base.uuid]);
    expect(outcome.stderr.split('\n')[0]).toBe(
      `imgctl import: error (ImageAlreadyExists): image "${base.uuid}" is already installed on zpool "zones"`,
    );
  });

  test.each([
    [['--name', 'x'], 2, 'images of class machine are named by their UUID, not "x"'],
    [['--name', '../x', '-P', 'portable'], 1, 'invalid image name: "../x"'],
    [['-P', 'nosuch'], 1, 'unknown pool: "nosuch"'],
  ])('%j is refused', async (args, status, message) => {
    const outcome = await run(['import', ...args, base.uuid]);
    expect(outcome.status).toBe(status);
    expect(outcome.stderr).toContain(message);
    expect(server.requests).toEqual([]);
  });
});

describe('two processes', () => {
  /** Holds back the file until `release` is called. */
  function holdFile(): {asked: Promise<void>; release: () => void} {
    const asked = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    server.intercept = async (request) => {
      if (!request.url?.endsWith('/file')) return false;
      asked.resolve();
      await go.promise;
      return false;
    };
    return {asked: asked.promise, release: go.resolve};
  }

  test('that import one image take turns; the second says so and is done with the first', async () => {
    const {asked, release} = holdFile();
    const first = run(['import', '-q', base.uuid]);
    await asked;
    const second = await world.runWhile(['import', '-q', base.uuid], async (child) => {
      await printed(child, 'Waiting for image');
      release();
    });
    expect([(await first).status, second.status, second.stderr]).toEqual([0, 0, '']);
    expect(second.stdout).toBe(`\
Importing ${base.uuid} (base-64@16.1.0) from "${server.url}/"
Gather image ${base.uuid} ancestry
Waiting for image ${base.uuid} import lock
Image ${base.uuid} (base-64@16.1.0) was imported while waiting on lock
`);
    expect(server.requests.filter((line) => line.endsWith('/file'))).toHaveLength(1);
  });

  test('a killed holder frees the lock, and the one that waited does the work', async () => {
    const {asked, release} = holdFile();
    const holder = world.spawn(['import', '-q', base.uuid]);
    await asked;
    const second = await world.runWhile(['import', '-q', base.uuid], async (child) => {
      await printed(child, 'Waiting for image');
      holder.kill('SIGKILL');
      release();
    });
    expect([second.status, second.stdout.trimEnd().split('\n').at(-1)]).toEqual([
      0,
      `Imported image ${base.uuid} (base-64@16.1.0)`,
    ]);
  });

  test('an install waits for an import of the same image', async () => {
    const {asked, release} = holdFile();
    const first = run(['import', '-q', base.uuid]);
    await asked;
    const args = installArgs(fakeManifest(base), base.bytes ?? Buffer.of());
    const second = await world.runWhile(args, async (child) => {
      await printed(child, 'Waiting for image');
      release();
    });
    await first;
    expect([second.status, second.stdout]).toEqual([
      0,
      `Installing image ${base.uuid} (base-64@16.1.0)
Waiting for image ${base.uuid} import lock
Image ${base.uuid} (base-64@16.1.0) was installed while waiting on lock
`,
    ]);
  });
});

/** Writes both files; the command line that installs them. */
function installArgs(manifest: object, bytes: Buffer): string[] {
  writeFileSync(path.join(world.directory, 'm'), JSON.stringify(manifest));
  writeFileSync(path.join(world.directory, 'f'), bytes);
  return ['install', '-q', '-m', 'm', '-f', 'f'];
}

test('a second signal ends what cannot be stopped: the wait for a pipe that nobody writes to', async () => {
  const pipe = path.join(world.directory, 'pipe');
  spawnSync('mkfifo', [pipe]);
  const file = path.join(world.directory, 'file');
  writeFileSync(file, 'x');
  const outcome = await world.runWhile(['-v', 'install', '-m', pipe, '-f', file], async (child) => {
    // The first record says that signals are watched.
    await new Promise((resolve) => child.stderr?.once('data', resolve));
    child.kill('SIGINT');
    child.kill('SIGTERM');
  });
  expect(['SIGINT', 'SIGTERM']).toContain(outcome.signal);
});

describe('install', () => {
  const bytes = base.bytes ?? Buffer.of();
  const minimal = {v: 2, uuid: base.uuid, name: 'base-64', version: '16.1.0', type: 'other', os: 'linux'};
  const get = async (): Promise<{
    manifest: Record<string, unknown>;
    source?: string;
    verification: {level: string};
  }> => JSON.parse((await run(['get', base.uuid])).stdout);

  test('reads a manifest from a pipe to its end', async () => {
    // More than a pipe holds at a time.
    installArgs({...minimal, tags: {long: 'x'.repeat(100_000)}}, bytes);
    const command = 'imgctl install -m <(cat m) -f f';
    const outcome = await world.runWhile(['-c', command], async () => undefined, 'bash');
    expect([outcome.stderr, outcome.status]).toEqual(['', 0]);
  });

  test('refuses a file without a byte', async () => {
    const outcome = await run(installArgs(minimal, Buffer.of()));
    expect([outcome.status, outcome.stderr]).toEqual([
      1,
      expect.stringMatching(/error \(DownloadError\): image file size error: .* is 0 bytes, empty files/),
    ]);
    expect(world.machines()).toEqual([]);
  });

  test.each([
    ['none', bytes],
    ['gzip', gzipSync(bytes)],
  ])('of a manifest without files takes what the bytes say: %s', async (compression, content) => {
    const outcome = await run(installArgs(minimal, content), 'imgadm');
    expect([outcome.stdout, outcome.stderr, outcome.status]).toEqual([
      `Installing image ${base.uuid} (base-64@16.1.0)\nInstalled image ${base.uuid} (base-64@16.1.0)\n`,
      '',
      0,
    ]);
    expect(world.image(base.uuid).equals(bytes)).toBe(true);
    const {manifest, source, verification} = await get();
    expect(verification.level).toBe('none');
    const sha1 = createHash('sha1').update(content).digest('hex');
    expect(manifest.files).toEqual([{sha1, size: content.length, compression}]);
    expect(manifest.published_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(source).toBeUndefined();
  });

  test('leaves out files where manifests have no word for the compression', async () => {
    expect((await run(installArgs(minimal, zstdCompressSync(bytes)))).status).toBe(0);
    expect(world.image(base.uuid).equals(bytes)).toBe(true);
    expect((await get()).manifest.files).toBeUndefined();
  });

  test('takes a manifest with channels, and says when the image is there already', async () => {
    expect((await run(installArgs({...fakeManifest(base), channels: ['dev']}, bytes))).status).toBe(0);
    const again = await run(installArgs(fakeManifest(base), bytes));
    expect([again.status, again.stdout]).toEqual([
      0,
      `Image ${base.uuid} (base-64 16.1.0) is already installed, skipping\n`,
    ]);
  });

  test('goes to the pool and under the name that are asked for', async () => {
    const args = [...installArgs(minimal, bytes), '-P', 'confext', '--name', 'conf'];
    expect((await run(args)).status).toBe(0);
    expect(world.names('confexts')).toEqual(['conf.raw']);
  });

  test.each([
    [{origin: nobody}, 3, `(OriginNotInstalled): origin image "${nobody}" was not found on zpool "zones"`],
    [
      {files: [{sha1: '0'.repeat(40), size: 3, compression: 'none'}]},
      1,
      '(DownloadError): image file size error: manifest says 3 bytes, f is 58 bytes',
    ],
    [
      {files: [{sha1: '0'.repeat(40), size: 58, compression: 'none'}]},
      1,
      `(DownloadError): image file checksum (sha1) error: manifest says "${'0'.repeat(40)}", f is "${createHash('sha1').update(bytes).digest('hex')}"`,
    ],
    [{os: undefined}, 1, '(ManifestValidation): invalid manifest: os (MissingParameter)'],
    [{v: undefined}, 1, '(InvalidManifest): manifest does not have a "v" field'],
    [{uuid: 'X'}, 1, '(InvalidUUID): invalid uuid: "X"'],
  ])('refuses a manifest with %j', async (more, status, message) => {
    const outcome = await run(installArgs({...minimal, ...more}, bytes), 'imgadm');
    expect([outcome.status, outcome.stderr.split('\n')[0]]).toEqual([
      status,
      `imgadm install: error ${message}`,
    ]);
    expect([world.machines(), world.records()]).toEqual([[], []]);
  });
});
