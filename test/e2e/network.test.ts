/** How the built programs reach sources: proxies, certificates, retries, limits (spec/imgadm.md §2.3, imgapi.md §7). */

import {mkdirSync} from 'node:fs';
import {createServer, type Server} from 'node:https';
import {type AddressInfo, createServer as createTcpServer} from 'node:net';
import path from 'node:path';
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi} from 'vitest';
import {type FakeServer, startFakeServer} from '../support/fake-images.ts';
import {startProxy, type TestProxy} from '../support/proxy.ts';
import {makeTestCa, type TestCa} from '../support/test-ca.ts';
import {type Outcome, World} from '../support/world.ts';

const uuid = '11111111-1111-4111-8111-111111111111';
const ownNames = new Set(['PATH', 'HOME', 'LC_ALL', 'IMGCTL_ROOT']);

let shared: World;
let ca: TestCa;
let other: TestCa;
let world: World;
let server: FakeServer;
let secure: Server;
let secureUrl: string;
let proxy: TestProxy;

beforeAll(() => {
  shared = new World();
  ca = makeTestCa(shared.directory, ['DNS:images.test', 'IP:127.0.0.1']);
  const place = path.join(shared.directory, 'other');
  mkdirSync(place);
  other = makeTestCa(place, ['DNS:images.test']);
});
afterAll(() => shared.end());

beforeEach(async () => {
  world = new World();
  server = await startFakeServer([{uuid}]);
  secure = createServer({key: ca.key, cert: ca.cert}, (request, response) => {
    server.server.emit('request', request, response);
  });
  await new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', resolve));
  secureUrl = `https://127.0.0.1:${portOf(secure)}`;
});
afterEach(async () => {
  secure.closeAllConnections();
  secure.close();
  await proxy?.close();
  await server.close();
  await world.end();
});

function portOf(listening: {address(): unknown}): number {
  return (listening.address() as AddressInfo).port;
}

async function run(args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
  for (const name of Object.keys(world.env)) if (!ownNames.has(name)) delete world.env[name];
  Object.assign(world.env, env);
  return world.runWhile(['--retries', '0', ...args], async () => undefined);
}

const ping = (url: string, env: Record<string, string> = {}, more: string[] = []): Promise<Outcome> =>
  run(['sources', ...more, '-a', url], env);

describe('a proxy', () => {
  const behind = 'http://images.test/base';
  beforeEach(async () => {
    server.intercept = (request) => {
      request.url = request.url?.replace('/base/', '/');
      return false;
    };
    proxy = await startProxy(portOf(server.server));
  });

  test.each(['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY'])(
    'named by %s is used for http',
    async (name) => {
      const outcome = await ping(behind, {[name]: proxy.url});
      expect([outcome.stderr, outcome.status]).toEqual([
        `imgctl sources: warning: insecure: "http://images.test" is asked without TLS, so what comes may be anybody's\n`,
        0,
      ]);
      expect(proxy.requests).toEqual([`GET ${behind}/ping`]);
    },
  );

  test.each([
    ['https_proxy', 'HTTPS_PROXY'],
    ['https_proxy', 'http_proxy'],
    ['HTTPS_PROXY', 'http_proxy'],
    ['http_proxy', 'HTTP_PROXY'],
  ])('named by %s wins over the one named by %s', async (first, second) => {
    const outcome = await ping(behind, {[first]: proxy.url, [second]: 'http://127.0.0.1:1'});
    expect([outcome.status, proxy.requests.length]).toEqual([0, 1]);
  });

  test.each(['no_proxy', 'NO_PROXY'])('is not asked for hosts in %s', async (name) => {
    const outcome = await ping(server.url, {http_proxy: proxy.url, [name]: 'localhost,127.0.0.1'});
    expect([outcome.status, proxy.requests]).toEqual([0, []]);
    expect((await ping(behind, {http_proxy: proxy.url, [name]: '127.0.0.1'})).status).toBe(0);
    expect(proxy.requests).toHaveLength(1);
  });

  test('gets the credentials of its URL, which no message shows', async () => {
    const url = proxy.url.replace('//', '//user:secret@');
    expect((await ping(behind, {http_proxy: url})).status).toBe(0);
    expect(proxy.credentials).toEqual([`Basic ${Buffer.from('user:secret').toString('base64')}`]);
    const dead = await ping('http://other.test', {http_proxy: 'http://user:secret@127.0.0.1:1'});
    expect(dead.status).toBe(1);
    expect(dead.stderr).not.toContain('secret');
    expect(dead.stderr.split('\n')[0]).toBe(
      'imgctl sources: error (SourcePing): unexpected ping error with "imgapi" image source "http://other.test": Error: connect ECONNREFUSED 127.0.0.1:1, by way of the proxy "http://***@127.0.0.1:1" (http_proxy)',
    );
    const direct = await ping('http://127.0.0.1:1', {http_proxy: url, no_proxy: '.test,127.0.0.1:1'});
    expect(direct.stderr.split('\n')[0]).toMatch(/: Error: connect ECONNREFUSED 127\.0\.0\.1:1$/);
  });

  test('to a server that says nothing does not keep Ctrl-C from ending the program', async () => {
    const silent = createTcpServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    await proxy.close();
    proxy = await startProxy(portOf(silent));
    world.env.https_proxy = proxy.url;
    const outcome = await world.runWhile(['sources', '-a', 'https://images.test'], async (child) => {
      await vi.waitUntil(() => proxy.requests.length > 0, {timeout: 20_000});
      child.kill('SIGINT');
    });
    silent.close();
    expect(outcome.status).toBe(130);
  });

  test.each(['https_proxy', 'HTTP_PROXY'])('named by %s tunnels https, certificate checked', async (name) => {
    await proxy.close();
    proxy = await startProxy(portOf(secure));
    const env = {[name]: proxy.url};
    const refused = await ping('https://images.test/base', env);
    expect(refused.stderr).toContain('the TLS certificate of "images.test" was not accepted');
    expect(refused.stderr).toContain(`; asked by way of the proxy "${proxy.url}" (${name}); trusted are`);
    const others = await ping('https://images.test/base', {...env, SSL_CERT_FILE: other.caFile});
    expect(others.stderr).toContain(
      `trusted are the authorities of the system and of Node, and of "${other.caFile}"`,
    );
    const outcome = await ping('https://images.test/base', {...env, SSL_CERT_FILE: ca.caFile});
    expect([outcome.stderr, outcome.status]).toEqual(['', 0]);
    expect(new Set(proxy.requests)).toEqual(new Set(['CONNECT images.test:443']));
    const imported = await run(['import', '-q', uuid, '-S', 'https://images.test/base'], {
      ...env,
      SSL_CERT_FILE: ca.caFile,
    });
    expect([imported.stderr, imported.status]).toEqual(['', 0]);
  });
});

describe('a certificate', () => {
  test.each([
    ['SSL_CERT_FILE', () => ca.caFile],
    ['NODE_EXTRA_CA_CERTS', () => ca.caFile],
    ['SSL_CERT_DIR', () => ca.caDirectory],
  ])('by an authority in %s is accepted, and without it refused', async (name, value) => {
    const refused = await ping(secureUrl);
    expect([refused.status, refused.stderr]).toEqual([
      1,
      expect.stringContaining(
        `(SourcePing): unexpected ping error with "imgapi" image source "${secureUrl}": the TLS certificate`,
      ),
    ]);
    const outcome = await ping(secureUrl, {[name]: value()});
    expect([outcome.stderr, outcome.status]).toEqual(['', 0]);
  });

  test('file that cannot be read is named', async () => {
    const outcome = await ping(secureUrl, {SSL_CERT_FILE: '/nonexistent/ca.pem'});
    expect(outcome.stderr).toContain('cannot read CA file "/nonexistent/ca.pem"');
  });

  test('is not checked with IMGADM_INSECURE=1, and with another value it is', async () => {
    expect((await ping(secureUrl, {IMGADM_INSECURE: 'yes'})).status).toBe(1);
    expect((await ping(secureUrl, {IMGADM_INSECURE: '1'})).stdout).toBe(
      `Added "imgapi" image source "${secureUrl}"\n`,
    );
    expect((await run(['avail', '-H', '-o', 'uuid'])).status).toBe(1);
  });

  test('is not checked for a source added with -k, then or later', async () => {
    expect((await ping(secureUrl, {}, ['-k'])).stdout).toBe(
      `Added "imgapi" image source "${secureUrl}" (insecure)\n`,
    );
    await run(['sources', '-d', 'https://images.smartos.org']);
    const outcome = await run(['-q', 'avail', '-H', '-o', 'uuid']);
    const warning = `insecure: the certificate of "${secureUrl}" is not checked, so what comes may be anybody's`;
    expect([outcome.stdout, outcome.stderr, outcome.status]).toEqual([
      `${uuid}\n`,
      `imgctl avail: warning: ${warning}\n`,
      0,
    ]);
    // All that was asked for is there, and the status tells of the warning.
    const strict = await run(['avail', '-H', '-o', 'uuid', '--strict']);
    expect([strict.stdout, strict.stderr, strict.status]).toEqual([
      `${uuid}\n`,
      `imgctl avail: warning: ${warning}\nimgctl avail: error (Warned): there was a warning, which --strict makes a failure\n`,
      1,
    ]);
    const old = await world.runWhile(['avail', '-H', '-o', 'uuid'], async () => undefined, 'imgadm');
    expect([old.stdout, old.stderr, old.status]).toEqual([`${uuid}\n`, '', 0]);
  });

  test('that is checked is no reason for --strict to fail, nor is a server on this machine', async () => {
    world.useSources([server.url]);
    const outcome = await run(['avail', '-H', '-o', 'uuid', '--strict']);
    expect([outcome.stdout, outcome.stderr, outcome.status]).toEqual([`${uuid}\n`, '', 0]);
  });

  test('or not, a pull with --verify=no is warned about', async () => {
    const pull = ['pull-raw', '-m', '-q', '--verify=no', `${server.url}/nothing`, 'x'];
    const [outcome, old] = [await run(pull), await world.runWhile(pull, async () => undefined, 'importctl')];
    const warning = `imgctl pull-raw: warning: insecure: "${server.url}/nothing" is pulled with --verify=no, so what comes may be anybody's`;
    expect(outcome.stderr.split('\n')[0]).toBe(warning);
    expect(old.stderr).not.toContain('insecure');
  });

  test('is checked for a source that says so, whatever the environment says', async () => {
    world.configure({sources: [{url: secureUrl, insecure: false}]});
    const outcome = await run(['show', uuid], {IMGADM_INSECURE: '1'});
    expect([outcome.status, outcome.stderr]).toEqual([1, expect.stringContaining('the TLS certificate')]);
  });
});

describe('a connection', () => {
  test('closed before the headers is tried again as often as --retries says', async () => {
    let left = 1;
    server.intercept = (request) => {
      left -= 1;
      if (left >= 0) request.socket.destroy();
      return left >= 0;
    };
    const outcome = await run(['--retries', '1', 'sources', '-a', server.url]);
    expect([outcome.stderr, outcome.status]).toEqual(['', 0]);
    expect(server.requests).toEqual(['GET /ping', 'GET /ping']);
    left = 1;
    const refused = await run(['show', uuid, '--retries', '0', '--config', sourcesOnly()]);
    expect(refused.stderr.split('\n')[0]).toBe(
      `imgctl show: error (ClientError): ${server.url}: Error: socket hang up`,
    );
    expect(server.requests).toHaveLength(3);
  });

  test('is not made when IMGCTL_OFFLINE is set, and the error says so', async () => {
    const outcome = await ping(server.url, {IMGCTL_OFFLINE: '1'});
    expect([outcome.status, outcome.stderr.split('\n')[0]]).toEqual([
      1,
      `imgctl sources: error (SourcePing): unexpected ping error with "imgapi" image source "${server.url}": not asked: IMGCTL_OFFLINE is set`,
    ]);
    world.useSources([server.url]);
    expect((await run(['import', uuid], {IMGCTL_OFFLINE: 'true'})).status).toBe(1);
    expect(server.requests).toEqual([]);
    expect((await run(['show', uuid], {IMGCTL_OFFLINE: '0'})).status).toBe(0);
  });

  function sourcesOnly(): string {
    world.useSources([server.url]);
    return `${world.root}/etc/imgctl/config.json`;
  }
});

describe('a limit of the configuration', () => {
  const withLimits = (limits: object): void =>
    world.configure({sources: [{url: server.url, type: 'imgapi'}], limits});

  test.each([
    [{listingBytes: 1024}, ['avail'], 'answer is larger than the limit of 1024 bytes'],
    [{listingImages: 1}, ['avail'], 'listing has more than 1 images'],
    [{documentBytes: 1024}, ['show', uuid], 'answer is larger than the limit of 1024 bytes'],
    [{headerBytes: 1024}, ['show', uuid], 'the headers of the answer are larger than the limit'],
    [{redirects: 2}, ['import', uuid], 'more than 2 redirects'],
    [{unpackedBytes: 10}, ['import', uuid], 'more than the limit of 10'],
  ])('%j counts for %j', async (limits, args, message) => {
    const big = {uuid, more: {description: 'd'.repeat(1000), homepage: `http://h/${'h'.repeat(200)}`}};
    server.images = [big, {...big, uuid: uuid.replace('4', '5')}];
    if ('headerBytes' in limits) {
      server.intercept = (_request, response) => {
        response.setHeader('x-long', 'x'.repeat(2000));
        return false;
      };
    }
    if ('redirects' in limits) {
      server.intercept = (request, response) => {
        if (!request.url?.includes('/file')) return false;
        response.writeHead(302, {location: `${request.url}?`}).end();
        return true;
      };
    }
    withLimits(limits);
    const outcome = await run(args);
    expect([outcome.status, outcome.stderr]).toEqual([1, expect.stringContaining(message)]);
    expect(world.machines()).toEqual([]);
    withLimits({});
    if (!('redirects' in limits)) expect((await run(args)).status).toBe(0);
  });

  test('of the wrong kind is refused by name', async () => {
    withLimits({redirects: 'many'});
    const outcome = await run(['avail']);
    expect(outcome.stderr).toContain('(ConfigError): config file');
    expect(outcome.stderr).toContain('limits.redirects must be integer');
  });
});
