import {execFileSync} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import type {RequestListener} from 'node:http';
import {createServer as createTlsServer} from 'node:https';
import {type AddressInfo, createServer} from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {Readable} from 'node:stream';
import {buffer} from 'node:stream/consumers';
import {gzipSync} from 'node:zlib';
import {afterEach, describe, expect, test} from 'vitest';
import {ImgctlError} from '../../../src/errors.ts';
import {HttpClient, type HttpSettings} from '../../../src/http/http-client.ts';
import {type Loopback, startLoopback} from '../../loopback.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function client(settings: Partial<HttpSettings> = {}): HttpClient {
  const made = new HttpClient({
    userAgent: 'imgctl-test',
    connectTimeoutMs: 1000,
    stallTimeoutMs: 300,
    retries: {count: 2, baseDelayMs: 5},
    ...settings,
  });
  cleanups.push(() => made.close());
  return made;
}

async function serve(listener: RequestListener): Promise<Loopback> {
  const loopback = await startLoopback(listener);
  cleanups.push(() => loopback.close());
  return loopback;
}

async function failure(promise: Promise<unknown>): Promise<ImgctlError> {
  const error = await promise.then(
    () => undefined,
    (caught) => caught,
  );
  expect(error).toBeInstanceOf(ImgctlError);
  return error as ImgctlError;
}

const codeOf = (error: unknown): unknown => (error instanceof ImgctlError ? error.code : error);

describe('request', () => {
  test('sends its own headers and decodes a gzip answer', async () => {
    const server = await serve((request, response) => {
      expect(request.headers['user-agent']).toBe('imgctl-test');
      expect(request.headers['x-request-id']).toBe('req-1');
      expect(request.headers['accept-encoding']).toBe('gzip');
      response.setHeader('Content-Encoding', 'gzip').end(gzipSync('{"a":1}'));
    });
    const answer = await client({requestId: 'req-1'}).request(`${server.url}/x`, {limitBytes: 100});
    expect(answer.body.toString()).toBe('{"a":1}');
    expect(answer.encodedBody).toEqual(gzipSync('{"a":1}'));
  });

  test('takes any status as an answer and does not follow redirects', async () => {
    const server = await serve((_request, response) =>
      response.writeHead(302, {Location: '/y'}).end('moved'),
    );
    const answer = await client().request(`${server.url}/x`, {limitBytes: 100});
    expect([answer.status, answer.body.toString()]).toEqual([302, 'moved']);
    expect(server.requests).toEqual(['GET /x']);
  });

  test('a DELETE without a body and a POST with one arrive', async () => {
    const server = await serve((request, response) => request.pipe(response));
    expect((await client().request(server.url, {method: 'DELETE', limitBytes: 9})).body).toHaveLength(0);
    const body = Buffer.from('{}');
    expect((await client().request(server.url, {method: 'POST', body, limitBytes: 9})).body).toEqual(body);
  });

  test('refuses a body above the limit, plain or hidden in gzip', async () => {
    const server = await serve((request, response) => {
      if (request.url === '/zip')
        response.setHeader('Content-Encoding', 'gzip').end(gzipSync('x'.repeat(101)));
      else response.end('x'.repeat(101));
    });
    for (const target of ['/plain', '/zip']) {
      const error = await failure(client().request(server.url + target, {limitBytes: 100}));
      expect(error.code).toBe('LimitExceeded');
      expect(error.message).toBe(`${server.url}${target}: answer is larger than the limit of 100 bytes`);
    }
  });

  test('broken gzip and an encoding nobody asked for are errors', async () => {
    const server = await serve((request, response) => {
      response.setHeader('Content-Encoding', request.url === '/zip' ? 'gzip' : 'br').end('not encoded');
    });
    expect((await failure(client().request(`${server.url}/zip`, {limitBytes: 100}))).message).toContain(
      'broken gzip encoding',
    );
    expect((await failure(client().request(`${server.url}/br`, {limitBytes: 100}))).message).toContain(
      'Content-Encoding "br" was not asked for',
    );
  });

  test('a refused connection is retried, then reported as imgadm does', async () => {
    const server = await serve(() => undefined);
    await server.close();
    const started = performance.now();
    const error = await failure(
      client({retries: {count: 2, baseDelayMs: 40}}).request(`${server.url}/images`, {
        limitBytes: 9,
        shownUrl: server.url,
      }),
    );
    const address = server.url.slice('http://'.length);
    expect(error.message).toBe(`${server.url}: Error: connect ECONNREFUSED ${address}`);
    expect([error.code, error.retryable]).toEqual(['ClientError', true]);
    expect(performance.now() - started).toBeGreaterThan(115);
  });

  test('a connection closed before headers is retried for a GET', async () => {
    let count = 0;
    const server = await serve((request, response) => {
      count += 1;
      if (count < 3) request.socket.destroy();
      else response.end('at last');
    });
    const answer = await client().request(server.url, {limitBytes: 100});
    expect(answer.body.toString()).toBe('at last');
    expect(server.requests).toHaveLength(3);
  });

  test('a POST whose connection broke is not sent again: the server may have acted on it', async () => {
    const server = await serve((request) => request.socket.destroy());
    const error = await failure(
      client().request(server.url, {method: 'POST', body: Buffer.from('{}'), limitBytes: 9}),
    );
    expect(error.message).toContain('socket hang up');
    expect(server.requests).toHaveLength(1);
  });

  test.each([429, 502, 503, 504])('a GET is retried on %i and Retry-After is waited for', async (status) => {
    let count = 0;
    const server = await serve((_request, response) => {
      count += 1;
      if (count === 1) response.writeHead(status, {'Retry-After': '0'}).end();
      else response.end('ok');
    });
    const patient = client({retries: {count: 1, baseDelayMs: 60_000}});
    expect((await patient.request(server.url, {limitBytes: 9})).status).toBe(200);
    expect(count).toBe(2);
  });

  test.each([429, 503])(
    'a Retry-After beyond the limit ends the tries with that answer, %i',
    async (status) => {
      const server = await serve((_request, response) =>
        response.writeHead(status, {'Retry-After': '3600'}).end(),
      );
      expect((await client().request(server.url, {limitBytes: 9})).status).toBe(status);
      expect(server.requests).toHaveLength(1);
    },
  );

  test('a server that asks for patience each time is left alone after the retries', async () => {
    const server = await serve((_request, response) => response.writeHead(429, {'Retry-After': '0'}).end());
    const patient = client({retries: {count: 3}});
    expect((await patient.request(server.url, {limitBytes: 9})).status).toBe(429);
    expect(server.requests).toHaveLength(4);
  });

  test('a 503 to a write and a 500 to a read are answers at once', async () => {
    const server = await serve((request, response) =>
      response.writeHead(request.method === 'GET' ? 500 : 503).end(),
    );
    expect((await client().request(server.url, {method: 'DELETE', limitBytes: 9})).status).toBe(503);
    expect((await client().request(server.url, {limitBytes: 9})).status).toBe(500);
    expect(server.requests).toHaveLength(2);
  });

  test('a body cut short is an error and is not asked for again', async () => {
    const server = await serve((request, response) => {
      response.setHeader('Content-Length', 100).write('abc');
      setTimeout(() => request.socket.destroy(), 20);
    });
    const error = await failure(client().request(server.url, {limitBytes: 200}));
    expect([error.code, error.retryable]).toEqual(['ClientError', true]);
    expect(server.requests).toHaveLength(1);
  });

  test('silence before the headers and in the body ends the wait', async () => {
    const server = await serve((request, response) => {
      if (request.url === '/body') response.setHeader('Content-Length', 100).write('abc');
    });
    const before = await failure(client().request(`${server.url}/headers`, {limitBytes: 200}));
    expect(before.message).toContain("Timeout awaiting 'response' for 300ms");
    const during = await failure(client().request(`${server.url}/body`, {limitBytes: 200}));
    expect(during.message).toBe(`${server.url}/body: Error: no data received for 300 ms`);
    expect(server.requests).toHaveLength(2);
  });

  test('an abort ends the wait for an answer and the wait for a retry with its reason', async () => {
    const server = await serve((request, response) => {
      if (request.url === '/retry') response.writeHead(503).end();
    });
    for (const target of ['/never', '/retry']) {
      const reason = new Error('enough');
      const controller = new AbortController();
      setTimeout(() => controller.abort(reason), 50);
      const slow = client({stallTimeoutMs: 60_000, retries: {count: 4, baseDelayMs: 60_000}});
      const promise = slow.request(server.url + target, {limitBytes: 9, signal: controller.signal});
      await expect(promise).rejects.toBe(reason);
    }
  });

  test('a name that does not resolve and a scheme that is not http are errors', async () => {
    const dns = await failure(client().request('http://no-such-host.invalid/', {limitBytes: 9}));
    expect(dns.message).toMatch(/^http:\/\/no-such-host\.invalid\/: Error: getaddrinfo E/);
    const scheme = await failure(client().request('ftp://host/', {limitBytes: 9}));
    expect([scheme.code, scheme.message]).toEqual([
      'InvalidArgument',
      '"ftp://host/" is not an http or https URL',
    ]);
  });

  test('passwords and tokens in the URL do not reach the message', async () => {
    const error = await failure(
      client().request('http://user:secret@127.0.0.1:1/x?token=secret&a=1', {limitBytes: 9}),
    );
    expect(error.message).toBe(
      'http://***@127.0.0.1:1/x?token=***&a=1: Error: connect ECONNREFUSED 127.0.0.1:1',
    );
  });

  test('goes through a proxy unless the host is excepted', async () => {
    const proxy = await serve((request, response) => response.end(`proxied ${request.url}`));
    const proxied = client({proxy: {http: proxy.url, none: '127.0.0.1'}});
    const answer = await proxied.request('http://image.test/ping', {limitBytes: 100});
    expect(answer.body.toString()).toBe('proxied http://image.test/ping');
    const direct = await serve((_request, response) => response.end('direct'));
    expect((await proxied.request(direct.url, {limitBytes: 100})).body.toString()).toBe('direct');
  });

  test('a proxy that never makes the tunnel ends the request', async () => {
    const proxy = await serve(() => undefined);
    proxy.server.on('connect', (_request, socket) => cleanups.push(() => socket.destroy()));
    const proxied = client({proxy: {https: proxy.url}, connectTimeoutMs: 100, retries: {count: 0}});
    const error = await failure(proxied.request('https://image.test/ping', {limitBytes: 100}));
    expect(error.message).toContain('timed out after 100ms');
  });

  test('a server behind a tunnel that says nothing to the handshake ends the request', async () => {
    const proxy = await serve(() => undefined);
    const closed: Promise<unknown>[] = [];
    proxy.server.on('connect', (_request, socket) => {
      cleanups.push(() => socket.destroy());
      closed.push(once(socket.resume(), 'end'));
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
    });
    const patience = {connectTimeoutMs: 100, stallTimeoutMs: 100, retries: {count: 0}};
    const proxied = client({proxy: {https: proxy.url}, ...patience});
    const error = await failure(proxied.request('https://image.test/ping', {limitBytes: 100}));
    expect(error.message).toContain('no TLS connection through the tunnel of the proxy within 200 ms');
    // Nobody but the client can end it.
    expect(await Promise.all(closed)).toHaveLength(1);
  });

  test('a proxy may take longer between two parts than for the tunnel', async () => {
    const proxy = await serve((_request, response) => {
      response.setHeader('Content-Length', 8).write('half');
      setTimeout(() => response.end('more'), 300);
    });
    const proxied = client({proxy: {http: proxy.url}, connectTimeoutMs: 100, stallTimeoutMs: 10_000});
    const answer = await proxied.request('http://image.test/ping', {limitBytes: 100});
    expect(answer.body.toString()).toBe('halfmore');
  });
});

describe('openStream', () => {
  test('hands over the headers first and the body undecoded', async () => {
    const packed = gzipSync('content');
    const server = await serve((request, response) => {
      expect(request.headers['accept-encoding']).toBe('identity');
      response.setHeader('Content-Length', packed.length).end(packed);
    });
    const answer = await client().openStream(server.url);
    expect(answer.headers['content-length']).toBe(String(packed.length));
    expect(await buffer(answer.body)).toEqual(packed);
  });

  test('a reader that takes its time is not a stall, a silent server is', async () => {
    const server = await serve((request, response) => {
      response.setHeader('Content-Length', 4_000_000).write(Buffer.alloc(3_000_000));
      if (request.url === '/whole') response.end(Buffer.alloc(1_000_000));
    });
    const whole = await client({stallTimeoutMs: 100}).openStream(`${server.url}/whole`);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await buffer(whole.body)).toHaveLength(4_000_000);
    const silent = await client({stallTimeoutMs: 100}).openStream(`${server.url}/part`);
    expect((await failure(buffer(silent.body))).message).toContain('no data received for 100 ms');
  });

  test('a server that drips is given up although it never is silent for long', async () => {
    const server = await serve((_request, response) => {
      response.setHeader('Content-Length', 1_000_000);
      const drip = setInterval(() => response.write('.'), 100);
      response.on('close', () => clearInterval(drip));
    });
    const answer = await client({stallTimeoutMs: 1000}).openStream(server.url);
    expect((await failure(buffer(answer.body))).message).toMatch(/only \d+ bytes received in \d+ ms/);
  });

  test('a body cut at any point, chunked or measured, fails the reader', async () => {
    const server = await serve((request, response) => {
      if (request.url === '/measured') response.setHeader('Content-Length', 300_000);
      response.write(Buffer.alloc(200_000));
      setTimeout(() => request.socket.destroy(), 20);
    });
    for (const target of ['/measured', '/chunked']) {
      const answer = await client().openStream(server.url + target);
      expect((await failure(buffer(answer.body))).code).toBe('ClientError');
    }
    expect(server.requests).toHaveLength(2);
  });

  test('a body that fails before it is read keeps what came, and tells the reader when he comes', async () => {
    let cut: Promise<unknown> | undefined;
    const server = await serve((request, response) => {
      cut = new Promise((resolve) => request.socket.once('close', resolve));
      response.setHeader('Content-Length', 100_000).write(Buffer.alloc(70_000));
      setTimeout(() => request.socket.destroy(), 20);
    });
    const answer = await client().openStream(server.url);
    await cut;
    await new Promise((resolve) => setTimeout(resolve, 20));
    let received = 0;
    const reading = (async () => {
      for await (const chunk of answer.body) received += chunk.length;
    })();
    expect((await failure(reading)).code).toBe('ClientError');
    expect(received).toBe(70_000);
  });

  test('bytes behind the end of an answer that come with its headers fail that answer and nothing else', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      const head = 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\n';
      socket.once('data', () => socket.end(Buffer.concat([Buffer.from(head), Buffer.alloc(60_000)])));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    for (let round = 0; round < 20; round += 1) {
      const received = client()
        .openStream(url)
        .then((answer) => buffer(answer.body))
        .then(({length}) => length, codeOf);
      expect([100, 'ClientError']).toContain(await received);
      const small = client()
        .request(url, {limitBytes: 1000})
        .then(({body}) => body.length, codeOf);
      expect([100, 'ClientError']).toContain(await small);
    }
  });

  test('a small answer that nobody reads does not keep its connection', async () => {
    let closed = 0;
    const server = await serve((request, response) => {
      request.socket.once('close', () => {
        closed += 1;
      });
      response.writeHead(404, {'content-length': 9}).end('not found');
    });
    const answer = await client().openStream(server.url);
    answer.body.destroy();
    await expect.poll(() => closed).toBe(1);
  });

  test('destroying the body closes the connection; an abort fails the reader with its reason', async () => {
    let closed = 0;
    const server = await serve((request, response) => {
      request.socket.once('close', () => {
        closed += 1;
      });
      response.setHeader('Content-Length', 1000).write('x');
    });
    const dropped = await client().openStream(server.url);
    dropped.body.destroy();
    const controller = new AbortController();
    const answer = await client({stallTimeoutMs: 5000}).openStream(server.url, {signal: controller.signal});
    const reason = new Error('enough');
    setTimeout(() => controller.abort(reason), 20);
    await expect(buffer(answer.body)).rejects.toBe(reason);
    await expect.poll(() => closed).toBe(2);
  });

  test('follows up to five redirects and no more', async () => {
    const server = await serve((request, response) => {
      const left = Number(request.url?.slice(1));
      if (left > 0) response.writeHead(302, {Location: `${left - 1}`}).end();
      else response.end('here');
    });
    const answer = await client().openStream(`${server.url}/5`);
    expect([(await buffer(answer.body)).toString(), answer.url]).toEqual(['here', `${server.url}/0`]);
    expect((await failure(client().openStream(`${server.url}/6`))).message).toContain(
      'more than 5 redirects',
    );
  });
});

describe('upload', () => {
  test('sends a stream with its length and opens it again for a retry', async () => {
    let count = 0;
    const received: string[] = [];
    const server = await serve((request, response) => {
      count += 1;
      if (count === 1) {
        request.socket.destroy();
        return;
      }
      received.push(request.headers['content-length'] ?? 'none');
      request.pipe(response);
    });
    let opened = 0;
    const answer = await client().upload(server.url, {
      open: () => {
        opened += 1;
        return Readable.from([Buffer.from('abc'), Buffer.from('def')]);
      },
      sizeBytes: 6,
      limitBytes: 100,
    });
    expect(answer.body.toString()).toBe('abcdef');
    expect([received, opened]).toEqual([['6'], 2]);
  });

  test.each([5, 7])('a body that is not the announced %i bytes is an error', async (sizeBytes) => {
    const server = await serve((request, response) => request.on('end', () => response.end()).resume());
    const error = await failure(
      client().upload(server.url, {
        open: () => Readable.from([Buffer.from('abcdef')]),
        sizeBytes,
        limitBytes: 9,
      }),
    );
    expect([error.code, error.message]).toEqual([
      'FileSystem',
      `the file to send has ${sizeBytes < 6 ? 'at least ' : ''}6 bytes instead of ${sizeBytes}`,
    ]);
    expect(server.requests.length).toBeLessThan(2);
  });

  test('an answer before the end of the body is taken', async () => {
    const server = await serve((request, response) => {
      response.writeHead(422).end('too early');
      request.resume();
    });
    const answer = await client().upload(server.url, {
      open: () => Readable.from(Array.from({length: 50}, () => Buffer.alloc(100_000))),
      sizeBytes: 5_000_000,
      limitBytes: 100,
    });
    expect([answer.status, answer.body.toString()]).toEqual([422, 'too early']);
  });

  test('a server that stops reading ends the upload', async () => {
    const server = await serve(() => undefined);
    const error = await failure(
      client({connectTimeoutMs: 100, stallTimeoutMs: 100}).upload(server.url, {
        open: () => Readable.from(Array.from({length: 500}, () => Buffer.alloc(100_000))),
        sizeBytes: 50_000_000,
        limitBytes: 100,
      }),
    );
    expect(error.message).toBe(`${server.url}: Error: no data accepted for 100 ms`);
  });
});

describe('TLS', () => {
  test('a self-signed server is refused by name, and accepted with its certificate or without the check', async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'imgctl-tls-'));
    cleanups.push(() => rmSync(directory, {recursive: true}));
    const [key, cert] = [path.join(directory, 'key.pem'), path.join(directory, 'cert.pem')];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
    const keyKind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
    execFileSync(
      'openssl',
      ['req', '-x509', ...keyKind, '-nodes', '-keyout', key, '-out', cert, ...subject],
      {stdio: 'ignore'},
    );
    const server = createTlsServer(
      {key: readFileSync(key), cert: readFileSync(cert)},
      (request, response) => {
        if (request.url === '/down') response.writeHead(302, {Location: 'http://127.0.0.1:1/x'}).end();
        else response.end('secure');
      },
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => {
      server.closeAllConnections();
      server.close();
    });
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const refused = await failure(client().request(`https://${host}/`, {limitBytes: 100}));
    expect(refused.message).toBe(
      `https://${host}/: the TLS certificate of "${host}" was not accepted: self-signed certificate; trusted are the authorities of the system and of Node`,
    );
    expect([refused.code, refused.retryable, refused.hint]).toEqual([
      'ClientError',
      false,
      expect.stringContaining('IMGADM_INSECURE=1'),
    ]);
    for (const trust of [{insecure: true}, {caFile: cert}]) {
      const answer = await client(trust).request(`https://${host}/`, {limitBytes: 100});
      expect(answer.body.toString()).toBe('secure');
    }
    const down = await failure(client({insecure: true}).openStream(`https://${host}/down`));
    expect(down.message).toBe(
      `https://${host}/down: redirect to "http://127.0.0.1:1/x" refused: it leaves https`,
    );
  });
});

describe('authorize', () => {
  const counting = (): {authorize: () => Promise<Record<string, string>>} => {
    let count = 0;
    return {
      authorize: async () => {
        count += 1;
        return {authorization: `try ${count}`};
      },
    };
  };

  test('is asked anew for each try', async () => {
    const seen: (string | undefined)[] = [];
    const server = await serve((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(seen.length < 3 ? 503 : 200).end('{}');
    });
    await client().request(server.url, {...counting(), limitBytes: 100});
    expect(seen).toEqual(['try 1', 'try 2', 'try 3']);
  });

  test('is not sent to another origin that a redirect leads to', async () => {
    const seen: [place: string, authorization: string | undefined][] = [];
    const other = await serve((request, response) => {
      seen.push(['other', request.headers.authorization]);
      response.end('file');
    });
    const server = await serve((request, response) => {
      seen.push(['server', request.headers.authorization]);
      const location = request.url === '/a' ? '/b' : `${other.url}/c`;
      response.writeHead(302, {location}).end();
    });
    const answer = await client().openStream(`${server.url}/a`, counting());
    expect((await buffer(answer.body)).toString()).toBe('file');
    expect(seen).toEqual([
      ['server', 'try 1'],
      ['server', 'try 2'],
      ['other', undefined],
    ]);
  });
});
