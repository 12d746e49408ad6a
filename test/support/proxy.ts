/** A real HTTP proxy on loopback; whatever host it is asked for, it goes to the one it was given. */

import {createServer, request} from 'node:http';
import {type AddressInfo, connect, type Socket} from 'node:net';

export interface TestProxy {
  url: string;
  /** `METHOD target` of every request, in order. */
  requests: string[];
  /** Proxy-Authorization headers. */
  credentials: (string | undefined)[];
  close(): Promise<void>;
}

export async function startProxy(targetPort: number): Promise<TestProxy> {
  const requests: string[] = [];
  const credentials: (string | undefined)[] = [];
  const tunnels = new Set<Socket>();
  const server = createServer((incoming, outgoing) => {
    requests.push(`${incoming.method} ${incoming.url}`);
    credentials.push(incoming.headers['proxy-authorization']);
    const {pathname, search} = new URL(incoming.url ?? '');
    const onward = {port: targetPort, path: `${pathname}${search}`, method: incoming.method};
    incoming.pipe(
      request({...onward, headers: incoming.headers}, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      }),
    );
  });
  server.on('connect', (incoming, client: Socket, head: Buffer) => {
    requests.push(`${incoming.method} ${incoming.url}`);
    credentials.push(incoming.headers['proxy-authorization']);
    const target = connect(targetPort, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      target.write(head);
      client.pipe(target).pipe(client);
    });
    for (const socket of [client, target]) {
      tunnels.add(socket);
      socket.on('error', () => socket.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    credentials,
    close: () =>
      new Promise((resolve) => {
        for (const socket of tunnels) socket.destroy();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
