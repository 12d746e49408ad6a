/** Download copies beside the real importd: the same names, modes and attributes, and each program uses the other's. */
import {mkdirSync, mkdtempSync, readFileSync, utimesSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {gzipSync} from 'node:zlib';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {removeTree} from '../../src/sys/remove-tree.ts';
import {disk, tarOfOs} from '../contract/engine-pulls.ts';
import {hasOracle, runInOracle} from '../support/oracle.ts';

const long = `${'x'.repeat(200)}/disk.raw`;
const url = 'http://127.0.0.1:8080';
const program = path.join(import.meta.dirname, '../support/pull-once.ts');
const httpd = path.join(import.meta.dirname, '../oracle/httpd.py');
/** Every file with what importd gives it; birth times and our own note aside. */
const listing = String.raw`cd /var/lib/machines; find . -name '.*-*' -prune -printf '%P %y %m %T@\n' | sort
for f in .raw-*; do getfattr -d -m '^user.source' -- "$f"; done; lsattr -d .tar-* | cut -c1-5`;

let directory: string;
let files: string;

beforeAll(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-copies-'));
  files = path.join(directory, 'files');
  mkdirSync(path.join(files, path.dirname(long)), {recursive: true});
  for (const [name, bytes] of Object.entries({
    'disk.raw.gz': gzipSync(disk),
    'disk.roothash': '0'.repeat(64),
    'tree.tar': tarOfOs(),
    [long]: disk,
  })) {
    writeFileSync(path.join(files, name), bytes);
    utimesSync(path.join(files, name), 1_700_000_000, 1_700_000_000);
  }
});
afterAll(() => removeTree(directory));

/** Runs a script with `ours` and `theirs` as FORMAT PATH NAME, and a server whose log is $LOG. */
function run(script: string): {stdout: string; requests: string} {
  const lib = mkdtempSync(path.join(directory, 'lib-'));
  const log = path.join(lib, 'requests');
  const setUp = `
    ours() { ${process.execPath} ${program} ${lib}/state "$1" "${url}/$2" "$3" >>${lib}/ours; }
    theirs() { importctl -m -q "pull-$1" --verify=no "${url}/$2" "$3" 2>>${lib}/theirs; }
    python3 ${httpd} ${files} 8080 ${log} & server=$!
    trap 'kill $server' EXIT
    for i in 1 2 3 4 5 6 7 8 9 10; do
      python3 -c 'import socket; socket.create_connection(("127.0.0.1", 8080))' 2>/dev/null && break
      sleep 0.1
    done`;
  const stdout = runInOracle('sid', lib, `${setUp}\n${script}`);
  return {stdout, requests: readFileSync(log, 'utf8')};
}

describe.runIf(hasOracle('sid'))('download copies', {timeout: 120_000}, () => {
  test('are the same, whoever makes them', () => {
    const pulls = (who: string) =>
      ['raw disk.raw.gz', 'tar tree.tar', 'raw etagless/disk.raw.gz', `raw ${long}`]
        .map((what, index) => `${who} ${what} image${index}`)
        .join('\n');
    const theirs = run(`${pulls('theirs')}\n${listing}`).stdout;
    const ours = run(`${pulls('ours')}\n${listing}`).stdout;
    expect(theirs).toContain('.raw-http:');
    expect(ours).toBe(theirs);
  });

  test.each([
    ['theirs', 'ours'],
    ['ours', 'theirs'],
  ])('of %s are used by %s', (first, second) => {
    const {requests} = run(`
      ${first} raw disk.raw.gz one; ${second} raw disk.raw.gz two
      ${first} tar tree.tar three; ${second} tar tree.tar four
      cmp /var/lib/machines/one.raw /var/lib/machines/two.raw
      diff -r /var/lib/machines/three /var/lib/machines/four`);
    const statuses = (file: string) =>
      requests
        .split('\n')
        .filter((line) => line.includes(`/${file} `))
        .map((line) => /" (\d+)/.exec(line)?.[1]);
    expect(statuses('disk.raw.gz')).toEqual(['200', '304']);
    expect(statuses('tree.tar')).toEqual(['200', '304']);
  });

  test('of theirs at a URL too long for a name are found by ours', () => {
    const {requests} = run(`theirs raw ${long} one; ours raw ${long} two`);
    expect(requests.match(/disk\.raw HTTP[^"]*" (\d+)/g)?.map((line) => line.slice(-3))).toEqual([
      '200',
      '304',
    ]);
  });
});
