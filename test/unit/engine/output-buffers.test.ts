import {execFileSync} from 'node:child_process';
import {closeSync, mkdtempSync, openSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {openInput} from '../../../src/engine/embedded/open-input.ts';
import {defaultDecompressLimits} from '../../../src/formats/decompress.ts';
import {readTar} from '../../../src/formats/tar-reader.ts';

const mebibyte = 1024 * 1024;
/** Nearly the largest that a header may hold; every part of it tells where it belongs. */
const mark = Array.from({length: 130_000}, (_, index) => String(index).padStart(7, '0')).join('.');
const before = Buffer.from(
  Array.from({length: 500_000}, (_, index) => String(index).padStart(6, '0')).join(','),
);
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-buffers-'));
});
afterEach(() => rmSync(directory, {recursive: true}));

function archiveWithLargeHeader(): string {
  const file = path.join(directory, 'made.tar');
  writeFileSync(path.join(directory, 'mark'), mark);
  writeFileSync(path.join(directory, 'before'), before);
  const script = `
import io, sys, tarfile
made = tarfile.open('made.tar', 'w', format=tarfile.PAX_FORMAT)
made.add('before')
entry = tarfile.TarInfo('marked')
entry.size = 6
entry.pax_headers = {'SCHILY.xattr.user.mark': open('mark').read()}
made.addfile(entry, io.BytesIO(b'marked'))
made.add('before', 'after')
made.close()`;
  execFileSync('python3', ['-c', script], {cwd: directory});
  return file;
}

test.each(['cat', 'gzip', 'xz', 'zstd', 'bzip2'])(
  'what comes out of %s is good while a tar is read',
  async (tool) => {
    const file = archiveWithLargeHeader();
    const packed = execFileSync(tool, tool === 'cat' ? [file] : ['-1c', file], {maxBuffer: 64 * mebibyte});
    writeFileSync(file, packed);
    const fd = openSync(file, 'r');
    try {
      const input = await openInput(fd, defaultDecompressLimits, () => undefined);
      const seen: [string, string | undefined, boolean][] = [];
      for await (const entry of readTar(input.bytes.rest())) {
        const body: Buffer[] = [];
        for await (const {bytes} of entry.body()) body.push(Buffer.from(bytes));
        const isWhole = Buffer.concat(body).equals(entry.size === 6 ? Buffer.from('marked') : before);
        seen.push([entry.path.toString(), entry.xattrs.get('user.mark')?.toString(), isWhole]);
      }
      expect(seen).toEqual([
        ['before', undefined, true],
        ['marked', mark, true],
        ['after', undefined, true],
      ]);
    } finally {
      closeSync(fd);
    }
  },
);
