/** Passes requests on to a server; a test decides which of them fail, and when. */
import {createServer, request} from 'node:http';
import type {AddressInfo} from 'node:net';
import {buffer} from 'node:stream/consumers';

/** Before the server sees it, or after it has answered; a number is a status given in place of it. */
export type Fault = 'before' | 'after' | number | undefined;

export interface FaultyProxy {
  url: string;
  /** `METHOD PATH?QUERY` of everything that came. */
  requests: string[];
  close(): void;
}

export async function startFaultyProxy(
  target: string,
  faultOf: (line: string, count: number) => Fault,
): Promise<FaultyProxy> {
  const requests: string[] = [];
  const {hostname, port} = new URL(target);
  const server = createServer(async (incoming, outgoing) => {
    const line = `${incoming.method} ${incoming.url}`;
    requests.push(line);
    const fault = faultOf(line, requests.length);
    if (fault === 'before') return void incoming.socket.resetAndDestroy();
    const body = await buffer(incoming);
    if (typeof fault === 'number') {
      return void outgoing
        .writeHead(fault, {'content-type': 'application/json'})
        .end('{"code":"Busy","message":"busy"}');
    }
    const {method, url: path, headers} = incoming;
    const passed = request({host: hostname, port, method, path, headers}, async (answer) => {
      const answered = await buffer(answer);
      if (fault === 'after') incoming.socket.resetAndDestroy();
      else outgoing.writeHead(answer.statusCode ?? 0, answer.headers).end(answered);
    });
    passed.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    requests,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
