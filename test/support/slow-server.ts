/** A loopback proxy before an image server that makes files arrive slowly, or cuts their connections. */

import {createServer, request} from 'node:http';
import type {AddressInfo} from 'node:net';
import {Transform} from 'node:stream';
import {setTimeout as sleep} from 'node:timers/promises';

export interface SlowServerOptions {
  bytesPerSecond?: number;
  /** Each answer with a file ends with a reset after so many bytes. */
  cutAfterBytes?: number;
}

export interface SlowServer {
  url: string;
  /** Requests for files so far, and their Range headers. */
  fileRequests: number;
  ranges: (string | undefined)[];
  setSpeed(bytesPerSecond: number): void;
  close(): Promise<void>;
}

export async function slowServer(target: string, options: SlowServerOptions): Promise<SlowServer> {
  let speed = options.bytesPerSecond ?? Number.POSITIVE_INFINITY;
  const server = createServer((incoming, outgoing) => {
    const isFile = /\/file(\?|$)/.test(incoming.url ?? '');
    if (isFile) {
      handle.fileRequests += 1;
      handle.ranges.push(incoming.headers.range);
    }
    const forward = request(
      new URL(incoming.url ?? '/', target),
      {method: incoming.method, headers: incoming.headers},
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
        let passed = 0;
        const throttle = new Transform({
          async transform(chunk: Buffer, _encoding, done) {
            passed += chunk.length;
            if (isFile && Number.isFinite(speed)) await sleep((chunk.length / speed) * 1000);
            if (isFile && options.cutAfterBytes !== undefined && passed > options.cutAfterBytes) {
              outgoing.socket?.resetAndDestroy();
              return;
            }
            done(null, chunk);
          },
        });
        answer.pipe(throttle).pipe(outgoing);
      },
    );
    forward.on('error', () => outgoing.destroy());
    outgoing.on('close', () => forward.destroy());
    incoming.pipe(forward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const handle: SlowServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    fileRequests: 0,
    ranges: [],
    setSpeed: (bytesPerSecond) => {
      speed = bytesPerSecond;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return handle;
}
