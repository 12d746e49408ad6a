/**
 * The ways to a server: plain, over TLS with a right or a wrong certificate, through a proxy that does its work or does
 * not. A way over which nothing may be taken says so.
 */
import {execFileSync} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {type AddressInfo, connect, createServer, type Server, type Socket} from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {createServer as createTlsServer} from 'node:tls';
import type {HttpSettings} from '../../src/http/http-client.ts';
import {makeTestCa} from '../support/test-ca.ts';
import type {Random} from './random.ts';

export interface Way {
  name: string;
  url: string;
  settings: Pick<HttpSettings, 'proxy' | 'caFile'>;
  /** Whatever comes over it is not from who it should be from. */
  isRefused?: true;
}

export interface Ways {
  pick(random: Random): Way;
  close(): void;
}

/** What a proxy does to one connection that asks it for another; `greet` says that it is made. */
type ProxyBehaviour = (
  client: Socket,
  target: Socket,
  {greet, random}: {greet(): void; random: Random},
) => void;

const tunnel: ProxyBehaviour = (client, target, {greet}) => {
  greet();
  client.pipe(target).pipe(client);
};

/** So much of what the server says comes through. */
const tunnelUntil =
  (end: (client: Socket) => void): ProxyBehaviour =>
  (client, target, {greet, random}) => {
    let left = random.below(80_000);
    greet();
    client.pipe(target);
    target.on('data', (chunk: Buffer) => {
      if (left > 0) client.write(chunk.subarray(0, left));
      left -= chunk.length;
      if (left <= 0) end(client);
    });
  };

const refusal =
  (status: string, ...lines: string[]): ProxyBehaviour =>
  (client) =>
    void client.end(`HTTP/1.1 ${[status, ...lines, 'Content-Length: 0'].join('\r\n')}\r\n\r\n`);

const proxyBehaviours: Readonly<Record<string, ProxyBehaviour>> = {
  'proxy, right': tunnel,
  'proxy that cuts': tunnelUntil((client) => client.destroy()),
  'proxy that stalls': tunnelUntil(() => undefined),
  'proxy, silent': () => undefined,
  'proxy, closed at once': (client) => void client.destroy(),
  'proxy, 407': refusal('407 Proxy Authentication Required', 'Proxy-Authenticate: Basic realm="x"'),
  'proxy, 502': refusal('502 Bad Gateway'),
  'proxy, 302': refusal('302 Found', 'Location: http://127.0.0.1:9/'),
  'proxy, no HTTP': (client) => void client.end('220 mail.example.com ESMTP\r\n'),
  'proxy, half an answer': (client) => void client.end('HTTP/1.1 200 Conn'),
};

/** Servers over TLS that hand what they decrypt to `serve`, as the plain one on `plainPort` does, and a proxy. */
export async function openWays(
  random: Random,
  plainPort: number,
  serve: (socket: Socket) => void,
): Promise<Ways> {
  const directory = mkdtempSync(path.join(tmpdir(), 'imgctl-ways-'));
  const {caFile, key, cert} = makeTestCa(directory, ['IP:127.0.0.1']);
  const {other, expired} = worseCertificates(directory);
  const servers: Server[] = [];
  const listen = async (server: Server): Promise<number> => {
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  };
  const secure = async (secret: {key: Buffer; cert: Buffer}): Promise<number> => {
    const server = createTlsServer(secret, serve).on('tlsClientError', () => undefined);
    return listen(server);
  };
  const raw = (behave: (socket: Socket) => void): Promise<number> =>
    listen(
      createServer((socket) => {
        socket.on('error', () => undefined);
        socket.once('data', () => behave(socket));
      }),
    );
  const behaviour = {current: tunnel};
  const proxy = `http://127.0.0.1:${await listen(proxyServer(behaviour, random))}`;
  const right = await secure({key, cert});
  const trusting = {caFile};
  const over = (port: number): string => `https://127.0.0.1:${port}`;
  const ways: Way[] = [
    {name: 'TLS', url: over(right), settings: trusting},
    {name: 'TLS, unknown authority', url: over(right), settings: {}, isRefused: true},
    ...[
      {name: 'TLS, wrong host', url: over(await secure(other))},
      {name: 'TLS, expired', url: over(await secure(expired))},
      {name: 'TLS, cut in the handshake', url: over(await raw((socket) => socket.destroy()))},
      {name: 'TLS, silent', url: over(await raw(() => undefined))},
      {name: 'TLS, none', url: over(await raw((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')))},
    ].map((way): Way => ({...way, settings: trusting, isRefused: true})),
  ];
  const plain = {name: 'plain', url: `http://127.0.0.1:${plainPort}`, settings: {}};
  return {
    pick(from) {
      const way = from.pick([plain, plain, plain, ways[0]!, from.pick(ways)]);
      if (from.next() < 0.7) return way;
      const name = from.pick(Object.keys(proxyBehaviours));
      behaviour.current = proxyBehaviours[name]!;
      const settings = {...way.settings, proxy: {http: proxy, https: proxy}};
      return {...way, name: `${way.name}, ${name}`, settings};
    },
    close() {
      for (const server of servers) server.close();
      rmSync(directory, {recursive: true});
    },
  };
}

/** Of the same authority: for another host, and of a time that is over. */
function worseCertificates(directory: string): Record<'other' | 'expired', {key: Buffer; cert: Buffer}> {
  const key = readFileSync(path.join(directory, 'server.key'));
  const made = (names: string, ...times: string[]): {key: Buffer; cert: Buffer} => {
    const script = `printf 'subjectAltName=%s\\n' "$0" > names && exec openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -extfile names "$@"`;
    const options = {cwd: directory, stdio: 'pipe' as const};
    return {key, cert: execFileSync('sh', ['-c', script, names, ...times], options)};
  };
  return {
    other: made('DNS:other.test', '-days', '2'),
    expired: made('IP:127.0.0.1', '-days', '-1'),
  };
}

/** Tunnels, and passes on what it is asked for by a whole URL. */
function proxyServer(behaviour: {current: ProxyBehaviour}, random: Random): Server {
  return createServer((client) => {
    client.on('error', () => undefined);
    client.once('data', (request: Buffer) => {
      const line = request.toString('latin1').split('\r\n', 1)[0] ?? '';
      const place = /^(?:CONNECT |\w+ http:\/\/)127\.0\.0\.1:(\d+)/.exec(line)?.[1];
      const target = connect(Number(place), '127.0.0.1');
      const close = (): void => {
        client.destroy();
        target.destroy();
      };
      target.on('error', close).on('close', () => client.end());
      client.on('close', close);
      // What is not asked for by CONNECT is asked for by its whole URL, which our server takes as well.
      const isTunnel = line.startsWith('CONNECT ');
      if (!isTunnel) target.write(request);
      const greet = (): void =>
        void (isTunnel && client.write('HTTP/1.1 200 Connection Established\r\n\r\n'));
      behaviour.current(client, target, {greet, random});
    });
  });
}
