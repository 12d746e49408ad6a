/**
 * Runs transfers in a small world of their own and keeps what V8 has compiled of the program by then: `main-cache.ts DIST`
 * writes DIST/main.cache. Part of the build. Whether they succeed matters little, because a failing one compiles nearly the
 * same: without rights, or on a machine that lacks something, the build goes on.
 */
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:http';
import {createRequire} from 'node:module';
import type {AddressInfo} from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import type {Script} from 'node:vm';
import {keepCompiled, writeCache} from './write-cache.ts';

type Load = (name: 'main') => {
  exports: {runMain(program: 'imgctl', argv: readonly string[]): Promise<number>};
  script: Script;
};

const dist = path.resolve(process.argv[2] ?? 'dist');
const root = mkdtempSync(path.join(tmpdir(), 'imgctl-build-'));
const diskBytes = 64 * 1024;

const server = createServer((request, response) => {
  if (request.url?.endsWith('.raw')) response.end(Buffer.alloc(diskBytes, 1));
  else response.writeHead(404).end();
});

try {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/disk.raw`;
  const [disk, packed] = [path.join(root, 'disk.raw'), path.join(root, 'packed')];
  for (const directory of ['etc/imgctl', 'var/lib/imgctl', 'var/lib/machines'])
    mkdirSync(path.join(root, directory), {recursive: true});
  writeFileSync(disk, Buffer.alloc(diskBytes, 1));
  keepCompiled();
  const main = (createRequire(import.meta.url)(path.join(dist, 'start.cjs')) as Load)('main');
  for (const line of [
    ['import-raw', '-m', '-q', disk, 'one'],
    ['pull-raw', '-m', '-q', '--verify=no', url, 'two'],
    ['export-raw', '-m', '-q', 'one', packed],
  ])
    await main.exports.runMain('imgctl', ['--root', root, ...line]);
  writeCache(path.join(dist, 'main.cache'), main.script);
} finally {
  server.close();
  rmSync(root, {recursive: true, force: true});
}
// Commands that failed have set a status of their own.
process.exit(0);
