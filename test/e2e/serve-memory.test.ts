/** A server with very many images stays below the limit of design.md §8, whatever is asked of it at once. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {request as httpRequest} from 'node:http';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {Readable} from 'node:stream';
import {afterEach, beforeEach, expect, test} from 'vitest';

const program = path.join(import.meta.dirname, '../../bin/imgctl');
/** In memory where there is room for it: ten thousand directories take long on a disk. */
const place = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const imageCount = 10_000;
const fileBytes = 64 * 1024 * 1024;
const limitKiB = 256 * 1024;

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(path.join(place, 'imgctl-serve-memory-'));
  const shared = {
    v: 2,
    type: 'other',
    os: 'linux',
    public: true,
    state: 'active',
    description: 'd'.repeat(400),
  };
  for (let index = 0; index < imageCount; index += 1) {
    const uuid = `bbbbbbbb-1111-4000-8000-${String(index).padStart(12, '0')}`;
    const published_at = new Date(1_600_000_000_000 + index * 1000).toISOString();
    const manifest = {
      ...shared,
      uuid,
      name: `image-${index}`,
      version: '1',
      published_at,
      tags: {role: 'x'.repeat(50)},
    };
    mkdirSync(path.join(directory, 'images', uuid), {recursive: true});
    writeFileSync(path.join(directory, 'images', uuid, 'manifest.json'), JSON.stringify(manifest));
  }
});

afterEach(() => rmSync(directory, {recursive: true}));

/** Status and size of an answer, its bytes thrown away as they come. */
function ask(
  url: string,
  method = 'GET',
  body?: Readable | string,
): Promise<[status: number, sizeBytes: number]> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, {method, agent: false}, (response) => {
      let sizeBytes = 0;
      response.on('data', (chunk: Buffer) => {
        sizeBytes += chunk.length;
      });
      response.once('end', () => resolve([response.statusCode ?? 0, sizeBytes])).once('error', reject);
    });
    request.once('error', reject);
    if (body instanceof Readable) body.pipe(request);
    else request.end(body);
  });
}

function bytes(): Readable {
  const piece = Buffer.alloc(1024 * 1024, 'image content ');
  return Readable.from(Array.from({length: fileBytes / piece.length}, () => piece));
}

test('ten thousand images, listings, uploads and downloads at once need less than 256 MiB', {
  timeout: 120_000,
}, async () => {
  const child = spawn(program, ['serve', '--listen', '127.0.0.1:0', directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const images = `${/http:\S+/.exec(line.toString())![0]}/images`;
    const [first, second] = ['1', '2'].map((digit) => `cccccccc-1111-4000-8000-00000000000${digit}`);
    for (const uuid of [first, second]) {
      const manifest = {v: 2, uuid, name: 'big', version: '1', type: 'other', os: 'linux', public: true};
      expect((await ask(`${images}/${uuid}?action=import`, 'POST', JSON.stringify(manifest)))[0]).toBe(200);
    }
    const add = (uuid: string | undefined) => ask(`${images}/${uuid}/file?compression=none`, 'PUT', bytes());
    expect((await add(first))[0]).toBe(200);
    const [added, got, ...lists] = await Promise.all([
      add(second),
      ask(`${images}/${first}/file`),
      ...Array.from({length: 6}, () => ask(images)),
    ]);
    expect([added?.[0], got]).toEqual([200, [200, fileBytes]]);
    expect(new Set(lists.map(String)).size).toBe(1);
    expect(lists[0]?.[1]).toBeGreaterThan(imageCount * 700);
    const [, peakKiB] = /VmHWM:\s*(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))!;
    expect(Number(peakKiB)).toBeLessThan(limitKiB);
    console.log(`peak of the server: ${Math.round(Number(peakKiB) / 1024)} MiB`);
  } finally {
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
});
