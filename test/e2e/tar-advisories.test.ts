/**
 * What was published against readers of tar archives, each tried on ours: nothing is written, changed or linked outside, and
 * reading ends. Named after the advisories; some are harmless here by construction, which is what is shown.
 */
import {execFileSync} from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import * as tarStream from 'tar-stream';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {EmbeddedEngine} from '../../src/engine/embedded/embedded-engine.ts';
import {ImgctlError} from '../../src/errors.ts';
import type {TarEntry} from '../../src/formats/tar-entry.ts';
import {readTar} from '../../src/formats/tar-reader.ts';
import {removeTree} from '../../src/sys/remove-tree.ts';

const isRoot = process.geteuid?.() === 0;

type Member = Partial<tarStream.Header> & {name: string; body?: string};

async function archiveOf(members: readonly Member[]): Promise<Buffer> {
  const pack = tarStream.pack();
  for (const {body = '', ...header} of members) pack.entry({...header, size: Buffer.byteLength(body)}, body);
  pack.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of pack) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

describe.runIf(isRoot)('an archive as in', () => {
  let directory: string;
  const at = (...parts: string[]) => path.join(directory, ...parts);
  const outside = () => at('outside');
  const victim = () => at('outside/victim');

  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'imgctl-advisory-'));
    mkdirSync(outside());
    writeFileSync(victim(), 'untouched', {mode: 0o600});
  });
  afterEach(async () => {
    const {mode, nlink} = statSync(victim());
    expect([readFileSync(victim(), 'utf8'), mode, nlink]).toEqual(['untouched', 0o100600, 1]);
    expect(readdirSync(outside())).toEqual(['victim']);
    expect(readdirSync(directory).sort()).toEqual(expect.not.arrayContaining(['escaped']));
    await removeTree(directory);
  });

  const symlink = (name: string, linkname: string): Member => ({name, type: 'symlink', linkname});
  const hardlink = (name: string, linkname: string): Member => ({name, type: 'link', linkname});
  const folder = (name: string): Member => ({name, type: 'directory', mode: 0o755});
  const file = (name: string): Member => ({name, body: 'attack', mode: 0o644});

  /** Members, and what becomes of it: a code, or that it is stored inside. */
  const cases: [string, string, () => Member[], string][] = [
    ['CVE-2001-1267', 'a name that climbs', () => [file('../../outside/victim')], 'InvalidArchive'],
    [
      'CVE-2002-0399',
      'a name that climbs behind a slash',
      () => [file('/../../outside/victim')],
      'InvalidArchive',
    ],
    [
      'CVE-2007-4559',
      'a name that climbs from below',
      () => [file('a/b/../../../../outside/victim')],
      'InvalidArchive',
    ],
    [
      'CVE-2016-6321',
      'a name that climbs behind what is cut off',
      () => [file(`${victim()}/../../../outside/victim`)],
      'InvalidArchive',
    ],
    [
      'CVE-2018-20834',
      'a hard link to outside, then a file of its name',
      () => [hardlink('x', victim()), file('x')],
      'InvalidArchive',
    ],
    [
      'CVE-2018-20835',
      'the same by way of a symbolic link',
      () => [symlink('l', outside()), hardlink('x', 'l/victim'), file('x')],
      'InvalidArchive',
    ],
    [
      'CVE-2021-32803',
      'a directory that becomes a link, then is written to',
      () => [folder('d'), symlink('d', outside()), file('d/victim')],
      'InvalidArchive',
    ],
    ['CVE-2021-32804', 'a name with many slashes in front', () => [file(`////${victim()}`)], 'inside'],
    [
      'CVE-2021-37701',
      'a link whose name differs by a backslash',
      () => [folder('d\\e'), symlink('d/e', outside()), file('d\\e/victim')],
      'inside',
    ],
    [
      'CVE-2021-37712',
      'a link whose name differs by its Unicode form',
      () => [folder('caf\u00e9'), symlink('cafe\u0301', outside()), file('caf\u00e9/victim')],
      'inside',
    ],
    [
      'CVE-2021-37713',
      'a name with a drive',
      () => [file('C:..\\..\\escaped'), file('c:/escaped')],
      'inside',
    ],
    [
      'CVE-2024-12905',
      'a link upwards by way of a link',
      () => [symlink('a', '.'), symlink('a/b', '../..'), file('b/escaped')],
      'InvalidArchive',
    ],
    [
      'CVE-2024-28863',
      'a name of very many directories',
      () => [file(`${'d/'.repeat(5000)}f`)],
      'LimitExceeded',
    ],
    ['CVE-2025-4517', 'links so long that resolving them gives up', () => longLinks(), 'InvalidArchive'],
    [
      'CVE-2025-4138',
      'a link upwards below a directory that comes later',
      () => [symlink('d/up', '../../outside'), folder('d'), file('d/up/victim')],
      'InvalidArchive',
    ],
    [
      'CVE-2025-4330',
      'a hard link to a link that leads outside',
      () => [symlink('l', victim()), hardlink('x', 'l'), file('x')],
      'inside',
    ],
    [
      'CVE-2025-45582',
      'a link to a directory outside, then a file by way of it',
      () => [symlink('x', '../../../outside'), file('x/victim')],
      'InvalidArchive',
    ],
    [
      'CVE-2025-48387',
      'a hard link by a name that climbs',
      () => [folder('d'), hardlink('d/x', '../outside/victim'), file('d/x')],
      'InvalidArchive',
    ],
    [
      'CVE-2025-59343',
      'a link to a directory that begins with the same letters',
      () => [symlink('l', '../image-of-another'), file('l/x')],
      'InvalidArchive',
    ],
  ];

  /** Each step is a name of 200 bytes, so that the way becomes longer than any path may be. */
  function longLinks(): Member[] {
    const name = 'd'.repeat(200);
    const members: Member[] = [];
    let place = '';
    for (const letter of 'abcdefghijklmnop') {
      members.push(folder(`${place}${name}`), symlink(`${place}${letter}`, name));
      place += `${letter}/`;
    }
    return [...members, symlink(`${place}up`, '../'.repeat(17)), file(`${place}up/outside/victim`)];
  }

  test.each(cases)('%s: %s', async (_name, _what, members, expected) => {
    writeFileSync(at('hostile.tar'), await archiveOf([{name: 'first', body: 'x'}, ...members()]));
    const engine = new EmbeddedEngine({runtimeDirectory: at('run')});
    const transfer = await engine.import({
      format: 'auto',
      store: {imageClass: 'machine', directory: at('machines')},
      localName: 'image',
      sourcePath: at('hostile.tar'),
    });
    const end = await transfer.finished.then(
      () => 'inside',
      (error: unknown) => (error instanceof ImgctlError ? error.code : String(error)),
    );
    expect(end).toBe(expected);
    expect(existsSync(at('machines/image'))).toBe(expected === 'inside');
  });
});

describe('reading an archive as in', () => {
  const block = (bytes: Buffer | string): Buffer => {
    const padded = Buffer.alloc(Math.ceil(Buffer.byteLength(bytes) / 512) * 512);
    Buffer.from(bytes).copy(padded);
    return padded;
  };
  const end = Buffer.alloc(1024);

  function header(fields: {
    name: string;
    type?: string;
    size?: number;
    change?: (bytes: Buffer) => void;
  }): Buffer {
    const {name, type = '0', size = 0, change} = fields;
    const bytes = Buffer.alloc(512);
    bytes.write(name, 0);
    bytes.write('0000644\0', 100);
    bytes.write('0000000\0', 108);
    bytes.write('0000000\0', 116);
    bytes.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
    bytes.write('00000000000\0', 136);
    bytes.write(type, 156);
    bytes.write('ustar\x0000', 257, 'latin1');
    change?.(bytes);
    bytes.fill(' ', 148, 156);
    const sum = bytes.reduce((total, byte) => total + byte, 0);
    bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    return bytes;
  }

  /** A record of an extended header, which says its own length. */
  function pax(key: string, value: string): string {
    const rest = ` ${key}=${value}\n`;
    let length = rest.length + 1;
    while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
    return `${length}${rest}`;
  }

  const extended = (...records: string[]): Buffer[] => [
    header({name: 'pax', type: 'x', size: records.join('').length}),
    block(records.join('')),
  ];

  async function read(...parts: Buffer[]): Promise<{name: string; bytes: string}[]> {
    async function* source(): AsyncGenerator<Buffer> {
      yield Buffer.concat([...parts, end]);
    }
    const found: {name: string; bytes: string}[] = [];
    for await (const entry of readTar(source()))
      found.push({name: nameOf(entry), bytes: await bodyOf(entry)});
    return found;
  }

  const nameOf = (entry: TarEntry): string => entry.path.toString();

  async function bodyOf(entry: TarEntry): Promise<string> {
    const runs: Buffer[] = [];
    for await (const run of entry.body()) runs.push(Buffer.from(run.bytes));
    return Buffer.concat(runs).toString();
  }

  const refused = (...parts: Buffer[]) =>
    expect(read(...parts)).rejects.toMatchObject({
      code: expect.stringMatching(/^(InvalidArchive|LimitExceeded)$/),
    });

  test('CVE-2025-62518: the size of the extended header counts, so nothing inside of a body is taken for a member', async () => {
    const inner = Buffer.concat([header({name: 'smuggled', size: 6}), block('inside')]);
    const found = await read(...extended(pax('size', String(inner.length))), header({name: 'outer'}), inner);
    expect(found.map(({name}) => name)).toEqual(['outer']);
  });

  test('CVE-2025-58183 and CVE-2022-2879: maps of holes and headers that fill the memory are refused', async () => {
    const numbers = `${10 ** 9}\n${'1\n2\n'.repeat(100)}`;
    await refused(
      ...extended(
        pax('GNU.sparse.major', '1'),
        pax('GNU.sparse.minor', '0'),
        pax('GNU.sparse.realsize', '9'),
      ),
      header({name: 'sparse', size: numbers.length}),
      block(numbers),
    );
    await refused(header({name: 'pax', type: 'x', size: 2 ** 32}), block('x'));
    await refused(header({name: 'long', type: 'L', size: 2 ** 31}), block('x'));
  });

  test('CVE-2019-9923: a map of holes that is no map is refused', async () => {
    for (const map of ['', 'x', '1', '1,', '-1,5', '5,1,1,5', '9'.repeat(400)]) {
      const records = [
        pax('GNU.sparse.map', map),
        pax('GNU.sparse.size', '4'),
        pax('GNU.sparse.numblocks', '1'),
      ];
      await refused(...extended(...records), header({name: 'sparse', size: 4}), block('text'));
    }
  });

  test('CVE-2023-39804: an extended header whose lengths lie is refused', async () => {
    for (const records of [
      '9999999999999 SCHILY.xattr.user.a=b\n',
      '3 a\n',
      '0 a=b\n',
      '-5 a=b\n',
      'x a=b\n',
      '12 a=b',
    ])
      await refused(
        header({name: 'pax', type: 'x', size: records.length}),
        block(records),
        header({name: 'f'}),
      );
  });

  test('CVE-2022-48303: numbers of blanks and of base 256 at the edge of their field are read or refused', async () => {
    for (const fill of [
      ' '.repeat(12),
      '\x80'.repeat(12),
      '\xff'.repeat(12),
      `${' '.repeat(11)}7`,
      '8'.repeat(12),
    ]) {
      const change = (bytes: Buffer): void => void bytes.write(fill, 136, 'latin1');
      const outcome = await read(header({name: 'f', change})).then(
        (found) => found.map(({name}) => name),
        (error: ImgctlError) => error.code,
      );
      expect([['f'], 'InvalidArchive', 'LimitExceeded']).toContainEqual(outcome);
    }
  });

  test('CVE-2018-20482: a file that is shorter than its size ends the reading', async () => {
    const bytes = Buffer.concat([header({name: 'f', size: 5000}), block('short')]);
    async function* source(): AsyncGenerator<Buffer> {
      yield bytes;
    }
    const reading = (async () => {
      for await (const entry of readTar(source())) await bodyOf(entry);
    })();
    await expect(reading).rejects.toMatchObject({code: 'InvalidArchive'});
  });

  test('GNU tar reads the members that these tests are made of', () => {
    const archive = Buffer.concat([
      ...extended(pax('size', '4')),
      header({name: 'f', size: 4}),
      block('text'),
      end,
    ]);
    expect(execFileSync('tar', ['-xOf', '-', 'f'], {input: archive}).toString()).toBe('text');
  });
});
