/**
 * Passes a server's answers on; while a file is there, answers with files of images end in the middle, or, if it says
 * `hold`, stop there. A program, for tests that wait for others: `cutting-proxy.ts TARGET FLAG-FILE BYTES` prints its URL.
 */

import {existsSync, readFileSync} from 'node:fs';
import {createServer, request} from 'node:http';
import type {AddressInfo} from 'node:net';

const [target = '', flagFile = '', bytes = ''] = process.argv.slice(2);
const {hostname, port} = new URL(target);

const server = createServer((incoming, outgoing) => {
  const {method, url, headers} = incoming;
  const passed = request({host: hostname, port, method, path: url, headers}, (answer) => {
    outgoing.writeHead(answer.statusCode ?? 0, answer.headers);
    const isCut = method === 'GET' && /\/file\b/.test(url ?? '') && existsSync(flagFile);
    const isHeld = isCut && readFileSync(flagFile, 'utf8').trim() === 'hold';
    let left = isCut ? Number(bytes) : Number.POSITIVE_INFINITY;
    answer.on('data', (chunk: Buffer) => {
      const part = chunk.subarray(0, Math.min(left, chunk.length));
      left -= part.length;
      // What was sent has to arrive before the connection goes.
      outgoing.write(part, () => left === 0 && !isHeld && outgoing.socket?.end());
      if (left === 0) answer.destroy();
    });
    answer.on('end', () => outgoing.end());
  });
  passed.on('error', () => outgoing.destroy());
  incoming.pipe(passed);
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
// Whoever started it may have been killed.
setTimeout(() => process.exit(), 600_000);
