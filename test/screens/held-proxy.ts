/**
 * A proxy on loopback before an image server, so that screens can show a name in place of a port. It lets a part of each
 * file through, the same in every run, and holds the rest until it is told to let go.
 */

import {createServer, request} from 'node:http';
import type {AddressInfo} from 'node:net';
import {Transform} from 'node:stream';

export interface HeldProxy {
  url: string;
  /** From here on everything passes. */
  letGo(): void;
}

/** Of each file this share passes at once. */
export async function heldProxy(target: string, share: number): Promise<HeldProxy> {
  const released = Promise.withResolvers<void>();
  let isHeld = true;
  const server = createServer((incoming, outgoing) => {
    const {pathname, search} = new URL(incoming.url ?? '/', 'http://none');
    const forward = request(
      new URL(pathname + search, target),
      {method: incoming.method, headers: incoming.headers},
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
        const total = Number(answer.headers['content-length'] ?? 0);
        const isFile = pathname.endsWith('/file') && isHeld;
        let left = isFile ? Math.floor(total * share) : Number.POSITIVE_INFINITY;
        const gate = new Transform({
          async transform(chunk: Buffer, _encoding, done) {
            const first = chunk.subarray(0, Math.max(0, Math.min(left, chunk.length)));
            left -= chunk.length;
            this.push(first);
            if (first.length < chunk.length) {
              await released.promise;
              this.push(chunk.subarray(first.length));
            }
            done();
          },
        });
        answer.pipe(gate).pipe(outgoing);
      },
    );
    forward.on('error', () => outgoing.destroy());
    outgoing.on('close', () => forward.destroy());
    incoming.pipe(forward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    letGo: () => {
      isHeld = false;
      released.resolve();
    },
  };
}
