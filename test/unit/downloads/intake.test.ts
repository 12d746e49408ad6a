import {createHash, randomBytes} from 'node:crypto';
import {once} from 'node:events';
import {mkdtempSync, readFileSync, rmSync, statSync} from 'node:fs';
import {type FileHandle, open} from 'node:fs/promises';
import {type AddressInfo, createServer, type Socket} from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {Readable} from 'node:stream';
import {afterAll, expect, test} from 'vitest';
import {Intake} from '../../../src/downloads/intake.ts';
import {GuardedBody} from '../../../src/http/guarded-body.ts';
import {HttpClient} from '../../../src/http/http-client.ts';
import {StreamDigest} from '../../../src/sys/stream-digest.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'imgctl-intake-'));
afterAll(() => rmSync(directory, {recursive: true}));

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

interface Taken {
  file: string;
  reached: number[];
  digest: string;
  error: unknown;
  endBytes: number;
}

let files = 0;

async function take(body: Readable): Promise<Taken> {
  const file = path.join(directory, String(files++));
  const handle = await open(file, 'w+');
  const [digest, reached] = [new StreamDigest('sha256'), [] as number[]];
  const intake = new Intake(handle.fd, {
    offsetBytes: 0,
    digests: [digest],
    onWritten: (end) => reached.push(end),
  });
  const error = await intake.receive(body).then(
    () => undefined,
    (reason) => reason,
  );
  body.destroy();
  await intake.flush();
  await handle.close();
  return {file, reached, digest: digest.hex(), error, endBytes: intake.endBytes};
}

/** A server that answers every request by itself; resolves with what the client makes of it. */
async function answered(
  respond: (socket: Socket) => void,
  use: (body: Readable) => Promise<void>,
  stallTimeoutMs = 5000,
): Promise<void> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => respond(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const {port} = server.address() as AddressInfo;
  const client = new HttpClient({userAgent: 'test', retries: {count: 0}, stallTimeoutMs});
  try {
    const {body} = await client.openStream(`http://127.0.0.1:${port}/file`);
    await use(body).finally(() => body.destroy());
  } finally {
    client.close();
    server.close();
  }
}

const head = (sizeBytes: number) => `HTTP/1.1 200 OK\r\nContent-Length: ${sizeBytes}\r\n\r\n`;

test('what was taken is in the file and in the digest, whatever the sizes of the chunks', async () => {
  const chunks = [1, 70_000, 0, 3_000_000, 5, 1 << 20, 4097].map((size) => randomBytes(size));
  const all = Buffer.concat(chunks);
  const {file, reached, digest, error} = await take(Readable.from(chunks));
  expect(error).toBeUndefined();
  expect(readFileSync(file).equals(all)).toBe(true);
  expect(digest).toBe(sha256(all));
  expect(reached.at(-1)).toBe(all.length);
  expect(reached.toSorted((a, b) => a - b)).toEqual(reached);
});

test('zeros become a hole, at the end too', async () => {
  const chunks = [randomBytes(1 << 20), ...Array.from({length: 64}, () => Buffer.alloc(1 << 18))];
  const {file} = await take(Readable.from(chunks));
  expect(readFileSync(file).equals(Buffer.concat(chunks))).toBe(true);
  expect(statSync(file).blocks * 512).toBeLessThan(4 << 20);
});

test('it goes on at an offset', async () => {
  const file = path.join(directory, 'offset');
  const [before, after] = [randomBytes(5000), randomBytes(100_000)];
  const handle = await open(file, 'w+');
  await handle.write(before);
  const intake = new Intake(handle.fd, {offsetBytes: before.length, digests: [], onWritten: () => undefined});
  await intake.receive(Readable.from([after]));
  await intake.flush();
  await handle.close();
  expect(readFileSync(file).equals(Buffer.concat([before, after]))).toBe(true);
});

test.each([[100], [5 << 20], [20 << 20]])('a failure to write %i bytes is told', async (sizeBytes) => {
  const handle: FileHandle = await open('/dev/full', 'w');
  const intake = new Intake(handle.fd, {offsetBytes: 0, digests: [], onWritten: () => undefined});
  const chunks = Array.from({length: Math.ceil(sizeBytes / 65_536)}, () => randomBytes(65_536));
  await intake.receive(Readable.from(chunks)).catch(() => undefined);
  await expect(intake.flush()).rejects.toMatchObject({code: 'ENOSPC'});
  await handle.close();
});

test('bytes that are too many are refused before they are taken', async () => {
  const handle = await open(path.join(directory, 'limit'), 'w+');
  const onBytes = (endBytes: number) => {
    if (endBytes > 10) throw new Error('too many');
  };
  const intake = new Intake(handle.fd, {offsetBytes: 0, digests: [], onWritten: () => undefined, onBytes});
  const chunks = [Buffer.alloc(10, 1), Buffer.alloc(1, 2)];
  await expect(intake.receive(Readable.from(chunks))).rejects.toThrow('too many');
  await intake.flush();
  expect((await handle.stat()).size).toBe(10);
  await handle.close();
});

test('a large body comes straight from its connection, in whatever pieces it is sent', async () => {
  const bytes = randomBytes(30 << 20);
  const pieces = (socket: Socket) => {
    socket.write(head(bytes.length));
    let offset = 0;
    for (const size of [1, 10, 100_000, 3, 1 << 20, 7]) {
      socket.write(bytes.subarray(offset, offset + size));
      offset += size;
    }
    socket.write(bytes.subarray(offset));
  };
  await answered(pieces, async (body) => {
    expect(body).toBeInstanceOf(GuardedBody);
    const {file, digest, error} = await take(body);
    expect(error).toBeUndefined();
    expect(digest).toBe(sha256(bytes));
    expect(readFileSync(file).equals(bytes)).toBe(true);
  });
});

test('nothing behind the end of a body is taken', async () => {
  const bytes = randomBytes(8 << 20);
  const twice = (socket: Socket) =>
    socket.write(Buffer.concat([Buffer.from(head(bytes.length)), bytes, bytes]));
  await answered(twice, async (body) => {
    const {file, error} = await take(body);
    expect(error).toBeUndefined();
    expect(readFileSync(file).equals(bytes)).toBe(true);
  });
});

test('a body in chunks, or without a length, is read as a stream', async () => {
  const bytes = randomBytes(4 << 20);
  const chunked = (socket: Socket) => {
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    socket.write(`${bytes.length.toString(16)}\r\n`);
    socket.write(bytes);
    socket.write('\r\n0\r\n\r\n');
  };
  const endless = (socket: Socket) => {
    socket.write('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n');
    socket.end(bytes);
  };
  for (const respond of [chunked, endless]) {
    await answered(respond, async (body) => {
      const {digest, error} = await take(body);
      expect(error).toBeUndefined();
      expect(digest).toBe(sha256(bytes));
    });
  }
});

test('a connection that is cut leaves what came before, and says so', async () => {
  const bytes = randomBytes(6 << 20);
  const cut = (socket: Socket) => {
    socket.write(head(bytes.length * 2));
    socket.end(bytes);
  };
  await answered(cut, async (body) => {
    const {file, error, digest, endBytes} = await take(body);
    expect(error).toMatchObject({code: 'ClientError', retryable: true});
    expect(endBytes).toBe(bytes.length);
    expect(digest).toBe(sha256(bytes));
    expect(readFileSync(file).equals(bytes)).toBe(true);
  });
});

test('a server that falls silent in the middle of a large body is given up', async () => {
  const bytes = randomBytes(6 << 20);
  const silent = (socket: Socket) => {
    socket.write(head(bytes.length * 2));
    socket.write(bytes);
  };
  const use = async (body: Readable) => {
    const {error, endBytes} = await take(body);
    expect(error).toMatchObject({message: expect.stringContaining('no data received for 300 ms')});
    expect(endBytes).toBe(bytes.length);
  };
  await answered(silent, use, 300);
});

test('while the file takes its time, the server waits and is not taken for silent', async () => {
  const bytes = randomBytes(12 << 20);
  const all = (socket: Socket) => {
    socket.write(head(bytes.length));
    socket.write(bytes);
  };
  const use = async (body: Readable) => {
    const taken: Buffer[] = [];
    const room = Buffer.alloc(4 << 20);
    let filled = 0;
    const sink = {
      room: () => room.subarray(filled),
      filled: (count: number) => {
        filled += count;
        return filled < room.length;
      },
      whenReady: async () => {
        if (filled < room.length) return;
        await new Promise((resolve) => setTimeout(resolve, 700));
        taken.push(Buffer.from(room));
        filled = 0;
      },
    };
    await (body as GuardedBody).receiveInto(sink);
    taken.push(Buffer.from(room.subarray(0, filled)));
    expect(Buffer.concat(taken).equals(bytes)).toBe(true);
  };
  await answered(all, use, 500);
});
