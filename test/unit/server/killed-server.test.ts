/** A server that is killed while it receives a file: what the next one finds in the directory. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, readdirSync, rmSync} from 'node:fs';
import {connect} from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {expect, test} from 'vitest';
import {HttpClient} from '../../../src/http/http-client.ts';
import {ImgapiClient} from '../../../src/imgapi/imgapi-client.ts';
import {createImageServer} from '../../../src/server/image-server.ts';

const uuid = 'aaaaaaaa-1111-4000-8000-000000000001';
const serverModule = path.join(import.meta.dirname, '../../../src/server/image-server.ts');
const program = `
  const {createImageServer} = await import(process.argv[1]);
  const server = await createImageServer({directory: process.argv[2]});
  console.log((await server.listen({host: '127.0.0.1', port: 0})).url);
`;

test('leaves the image as it was before the upload, and nothing else after the next start', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'imgctl-killed-'));
  const kept = () => readdirSync(path.join(directory, 'images'), {recursive: true}).map(String).sort();
  const child = spawn(process.execPath, ['--input-type=module', '-e', program, serverModule, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const http = new HttpClient({userAgent: 'imgctl-test'});
  try {
    const [output] = (await once(child.stdout, 'data')) as [Buffer];
    const url = output.toString().trim();
    const manifest = {v: 2, uuid, name: 'a', version: '1', type: 'other', os: 'linux', public: true};
    await new ImgapiClient(http, url).importImage(manifest);
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.on('error', () => undefined);
    const head = `PUT /images/${uuid}/file?compression=none HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n`;
    socket.write(head);
    socket.write(Buffer.alloc(500_000, 'x'));
    await expect.poll(() => kept().some((name) => name.startsWith('.tmp-'))).toBe(true);
    child.kill('SIGKILL');
    await once(child, 'exit');
    const server = await createImageServer({directory});
    expect(kept()).toEqual([uuid, `${uuid}/manifest.json`]);
    await server.close();
  } finally {
    child.kill('SIGKILL');
    http.close();
    rmSync(directory, {recursive: true});
  }
});
