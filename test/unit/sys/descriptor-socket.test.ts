import {closeSync, mkdtempSync, openSync, readdirSync, rmSync} from 'node:fs';
import net from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {DescriptorSocket} from '../../../src/sys/descriptor-socket.ts';

let directory: string;
let server: net.Server;
let peer: Promise<net.Socket>;

beforeEach(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-socket-'));
  server = net.createServer();
  peer = new Promise((resolve) => server.once('connection', resolve));
  await new Promise<void>((resolve) => server.listen(path.join(directory, 'socket'), resolve));
});
afterEach(async () => {
  await new Promise((resolve) => server.close(resolve));
  rmSync(directory, {recursive: true});
});

const connect = () => DescriptorSocket.connect(path.join(directory, 'socket'));
const ended = (stream: net.Socket | DescriptorSocket) =>
  new Promise((resolve) => stream.once('close', resolve));

test('bytes pass both ways, more than the socket holds', async () => {
  const socket = connect();
  const other = await peer;
  other.pipe(other);
  const sent = Buffer.alloc(4 << 20, 'imgctl');
  socket.write(sent);
  const got: Buffer[] = [];
  for await (const chunk of socket) {
    got.push(chunk);
    if (got.reduce((sum, part) => sum + part.length, 0) >= sent.length) break;
  }
  expect(Buffer.concat(got).equals(sent)).toBe(true);
});

test('the end of the peer is the end of the stream', async () => {
  const socket = connect();
  (await peer).end('last');
  const got: Buffer[] = [];
  for await (const chunk of socket) got.push(chunk);
  expect(Buffer.concat(got).toString()).toBe('last');
});

test('a peer that goes away ends the writes', async () => {
  const socket = connect();
  const other = await peer;
  other.pause();
  const failed = new Promise((resolve) => socket.once('error', resolve));
  socket.write(Buffer.alloc(4 << 20));
  other.destroy();
  expect(await failed).toMatchObject({code: expect.stringMatching(/^(EPIPE|ECONNRESET)$/)});
});

test('nobody there is an error that names the socket', () => {
  expect(() => DescriptorSocket.connect(path.join(directory, 'none'))).toThrow(`connect "${directory}/none"`);
  expect(() => DescriptorSocket.connect(`\0${directory}`)).toThrow('ECONNREFUSED');
});

test('destroyed sockets leave no descriptor open', async () => {
  server.on('connection', (other) => other.resume());
  const before = readdirSync('/proc/self/fd').length;
  for (let count = 0; count < 20; count += 1) {
    const arrived = new Promise<net.Socket>((resolve) => server.once('connection', resolve));
    const socket = connect();
    const other = await arrived;
    const fd = openSync('/dev/null', 'r');
    socket.writeWithFds(Buffer.from('x'), [fd]);
    closeSync(fd);
    const closed = Promise.all([ended(socket), ended(other)]);
    socket.destroy();
    await closed;
  }
  expect(readdirSync('/proc/self/fd').length).toBe(before);
});
