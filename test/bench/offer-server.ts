/**
 * An image server with so many images, as one listing: `offer-server.ts COUNT`. Says its address, and then a line for each
 * request. A listing that has not changed is not sent again.
 */
import {createServer} from 'node:http';
import type {AddressInfo} from 'node:net';
import {manifestNumber} from './worlds.ts';

const count = Number(process.argv[2]);
const etag = `"${count}"`;
const rowsPerPiece = 1000;

function* listing(first: number, end: number): Generator<string> {
  for (let start = first; start < end; start += rowsPerPiece) {
    const rows = Array.from({length: Math.min(rowsPerPiece, end - start)}, (_, index) =>
      manifestNumber(start + index),
    );
    yield `${start === first ? '[' : ','}${JSON.stringify(rows).slice(1, -1)}`;
  }
  yield first < end ? ']' : '[]';
}

/** What is asked for: all of it, or the page after a marker. */
function rangeOf(address: string): [first: number, end: number] {
  const {searchParams} = new URL(address, 'http://localhost');
  const marker = searchParams.get('marker');
  const first = marker === null ? 0 : Number.parseInt(marker.slice(-12), 16) + 1;
  return [first, Math.min(count, first + Number(searchParams.get('limit') ?? count))];
}

const server = createServer(async (request, response) => {
  const isKnown = request.headers['if-none-match'] === etag;
  process.stdout.write(`${request.method} ${request.url} ${isKnown ? 304 : 200}\n`);
  response.writeHead(isKnown ? 304 : 200, {etag, 'content-type': 'application/json'});
  if (!isKnown)
    for (const piece of listing(...rangeOf(request.url ?? '/')))
      if (!response.write(piece)) await new Promise((resolve) => response.once('drain', resolve));
  response.end();
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
