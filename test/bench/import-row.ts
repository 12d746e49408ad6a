/** `imgctl import` of a catalog image against our own `pull-raw` of the same bytes from the same server. */
import {type ChildProcess, execFileSync, spawn} from 'node:child_process';
import {createHash, type Hash} from 'node:crypto';
import {once} from 'node:events';
import {copyFileSync, createReadStream, mkdirSync, renameSync, statSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import type {Command} from './measure.ts';
import type {Places, Row} from './rows.ts';
import type {Target} from './target.ts';

const uuid = 'bbbbbbbb-1111-4000-8000-000000000001';
const file = 'disk.raw.gz';

export interface ImageServer {
  url: string;
  sha256: string;
  /** What it serves. */
  file: string;
  stop(): void;
}

/** Serves the file as an image, from a directory below `scratch`. */
export async function startImages({data, imgctl}: Places, scratch: string): Promise<ImageServer> {
  const image = path.join(scratch, 'images', 'images', uuid);
  mkdirSync(image, {recursive: true});
  copyFileSync(path.join(data, file), path.join(image, 'file'));
  const [sha1, sha256] = [createHash('sha1'), createHash('sha256')];
  for await (const bytes of createReadStream(path.join(image, 'file'), {highWaterMark: 1 << 20}))
    for (const hash of [sha1, sha256] as Hash[]) hash.update(bytes);
  const manifest = {
    ...{v: 2, uuid, name: 'disk', version: '1', type: 'other', os: 'linux', public: true, state: 'active'},
    published_at: '2026-01-01T00:00:00.000Z',
    files: [{sha1: sha1.digest('hex'), size: statSync(path.join(image, 'file')).size, compression: 'gzip'}],
  };
  writeFileSync(path.join(image, 'manifest.json'), JSON.stringify(manifest));
  const child: ChildProcess = spawn(
    imgctl,
    [
      '--root',
      path.join(scratch, 'images-root'),
      'serve',
      '--listen',
      '127.0.0.1:0',
      path.join(scratch, 'images'),
    ],
    {stdio: ['ignore', 'pipe', 'inherit']},
  );
  if (!child.stdout) throw new Error('the image server has no output');
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const url = /http:\S+/.exec(line.toString())?.[0] ?? '';
  return {url, sha256: sha256.digest('hex'), file: path.join(image, 'file'), stop: () => child.kill()};
}

export function importRow({data, imgctl}: Places, {url, sha256, file: input}: ImageServer): Row {
  const run = ({directory}: Target, ...words: string[]): Command => ({
    argv: [imgctl, '--root', directory, ...words],
  });
  return {
    name: 'import of a catalog image, to our pull-raw of the same bytes',
    goal: 1.05,
    input,
    prepare({directory}) {
      mkdirSync(path.join(directory, 'etc/imgctl'), {recursive: true});
      writeFileSync(path.join(directory, 'etc/imgctl/config.json'), JSON.stringify({sources: [{url}]}));
    },
    commands: {
      imgctl: (target) => run(target, '-q', 'import', uuid),
      tool: (target) =>
        run(
          target,
          ...['pull-raw', '-m', '-q', `--verify=${sha256}`, '--keep-download=yes'],
          ...[`${url}/images/${uuid}/file`, 'o'],
        ),
    },
    check({machines}, peer) {
      const made = path.join(machines, peer === 'imgctl' ? `${uuid}.raw` : 'o.raw');
      execFileSync('cmp', [path.join(data, 'disk.raw'), made]);
      renameSync(made, `${made}.checked`);
    },
  };
}
