/** Trees with right checksums that no ZFS would send: what leads elsewhere, in circles or to nothing is refused. */
import {describe, expect, test} from 'vitest';
import {decodedEntries, decodeStreams} from '../../../support/zfs-stream.ts';
import {
  entryOf,
  fatZap,
  manyFiles,
  microZap,
  packAttributes,
  rootObject,
  TestStream,
  types,
} from '../../../support/zfs-writer.ts';

const directory = packAttributes({mode: 0o040755, links: 2});
const file = packAttributes({mode: 0o100644});
const noBytes = Buffer.alloc(0);
const [first, second] = [10, 11];

type Node = [object: number, type: number, bonus: Buffer, contents?: Buffer];

async function entriesOf(...nodes: Node[]): Promise<string[]> {
  const stream = new TestStream();
  const records = [stream.fileSystem(), ...nodes.map((node) => stream.node(...node)), stream.end()];
  return decodedEntries(await decodeStreams([Buffer.concat(records)])).map(({path}) => path.toString());
}

const root = (contents: Buffer): Node => [rootObject, types.dir, directory, contents];
const dir = (object: number, contents: Buffer): Node => [object, types.dir, directory, contents];

test('a tree of the test writer is read as it was meant', async () => {
  const stream = await decodeStreams([Buffer.concat([...manyFiles(2500, 700)])]);
  const entries = decodedEntries(stream);
  expect(entries.length).toBe(1 + 3 + 2500);
  const last = entries.find(({path}) => path.toString() === 'dir-2000/file-2499');
  expect(last).toMatchObject({type: 'file', mode: 0o644, size: 700, mtimeNs: 1_700_000_000_000_000_000n});
  expect(stream.contents.read(last?.object ?? 0, 700)).toEqual(Buffer.alloc(700, 'file 2499 '));
});

describe('names', () => {
  test.each([['.'], ['..'], ['a/b'], ['/etc/passwd'], ['../../x']])('%s is refused', async (name) => {
    const contents = microZap([[name, entryOf(first, 'file')]]);
    await expect(entriesOf(root(contents), [first, types.file, file])).rejects.toMatchObject({
      code: 'InvalidArchive',
      message: expect.stringContaining(JSON.stringify(name)),
    });
  });

  test('that come twice are refused', async () => {
    const contents = microZap([
      ['twice', entryOf(first, 'file')],
      ['twice', entryOf(second, 'file')],
    ]);
    const nodes: Node[] = [root(contents), [first, types.file, file], [second, types.file, file]];
    await expect(entriesOf(...nodes)).rejects.toThrow(/"twice", and it is there twice/);
  });

  test('with a NUL inside are refused', async () => {
    const value = Buffer.alloc(8);
    value.writeBigUInt64BE(entryOf(first, 'file'));
    const contents = fatZap([{name: Buffer.from('a\0b'), value, integerBytes: 8}]);
    const large: Node = [rootObject, types.table, directory, contents];
    await expect(entriesOf(large, [first, types.file, file])).rejects.toMatchObject({code: 'InvalidArchive'});
  });
});

describe('directories', () => {
  test('in a circle are refused', async () => {
    const there = microZap([['there', entryOf(first, 'dir')]]);
    const back = microZap([['back', entryOf(rootObject, 'dir')]]);
    await expect(entriesOf(root(there), dir(first, back))).rejects.toThrow(/more names than links/);
    const itself = microZap([['itself', entryOf(first, 'dir')]]);
    await expect(entriesOf(root(there), dir(first, itself))).rejects.toThrow(/more names than links/);
  });

  test('of two places are refused', async () => {
    const contents = microZap([
      ['a', entryOf(first, 'dir')],
      ['b', entryOf(first, 'dir')],
    ]);
    await expect(entriesOf(root(contents), dir(first, microZap([])))).rejects.toThrow(
      /more names than links/,
    );
  });

  test('below each other without end are refused', async () => {
    const nodes = Array.from({length: 200}, (_, index) =>
      dir(first + index, microZap([['d', entryOf(first + index + 1, 'dir')]])),
    );
    await expect(entriesOf(root(microZap([['d', entryOf(first, 'dir')]])), ...nodes)).rejects.toMatchObject({
      code: 'LimitExceeded',
    });
  });

  test('that name what is not there, or have no contents, are refused', async () => {
    await expect(entriesOf(root(microZap([['gone', entryOf(99, 'file')]])))).rejects.toThrow(
      /what "gone" names \(object 99\) is missing/,
    );
    await expect(entriesOf(root(noBytes))).rejects.toThrow(/has no beginning/);
    await expect(entriesOf([6, types.dir, directory])).rejects.toThrow(/missing/);
  });

  test('whose parts refer to each other or beyond are refused', async () => {
    const good = fatZap([
      {
        name: Buffer.from('name of some length, longer than a part'),
        value: Buffer.alloc(8, 1),
        integerBytes: 8,
      },
    ]);
    const chunks = 16_384 + 48 + 1024;
    const change = (at: number, value: number) => {
      const bad = Buffer.from(good);
      bad.writeUInt16LE(value, chunks + at);
      return entriesOf([rootObject, types.table, directory, bad]);
    };
    await expect(change(22, 0)).rejects.toThrow(/chains share|does not end/);
    await expect(change(22, 0x7000)).rejects.toThrow(/refers to part 28672/);
    await expect(change(22, 0xffff)).rejects.toThrow(/too short/);
    await expect(change(22, 3)).rejects.toThrow(/leads to something else/);
    await expect(change(3 * 24 + 6, 5000)).rejects.toThrow(/a name has 5000 bytes/);
  });
});

test('a file with more names than it says is refused, and one that says so is linked', async () => {
  const contents = microZap([
    ['a', entryOf(first, 'file')],
    ['b', entryOf(first, 'file')],
  ]);
  await expect(entriesOf(root(contents), [first, types.file, file])).rejects.toThrow(/more names than links/);
  const linked = packAttributes({mode: 0o100644, links: 2});
  expect(await entriesOf(root(contents), [first, types.file, linked])).toEqual(['', 'a', 'b']);
});

test('records of objects that were not described, and beyond every limit, are refused', async () => {
  const stream = new TestStream();
  const early = Buffer.concat([
    stream.begin({kind: 'volume', guid: '1', name: 'x'}),
    stream.write(1, 0, Buffer.alloc(512)),
  ]);
  await expect(decodeStreams([early])).rejects.toThrow(/written before it is described/);
  const far = new TestStream();
  const records = [
    far.begin({kind: 'volume', guid: '1', name: 'x'}),
    far.write(1, 2 ** 53 - 1, Buffer.alloc(512)),
  ];
  await expect(decodeStreams([Buffer.concat(records)])).rejects.toThrow(/object 1 has a block at/);
});

test('ranges of freed objects that are looked through without end are refused', async () => {
  const freeing = (first: number, count: number) => {
    const stream = new TestStream();
    const records = [stream.begin({kind: 'volume', guid: '1', name: 'x'})];
    for (let object = 0; object < 1000; object++) records.push(stream.node(object * 3, types.table, noBytes));
    for (let round = 0; round < 110; round++) records.push(stream.freeObjects(first, count));
    return decodeStreams([Buffer.concat([...records, stream.end()])], {limits: {maxSearches: 10_000}});
  };
  expect((await freeing(2, 1)).dataset.objects.size).toBe(1000);
  expect((await freeing(2 ** 40, 2 ** 50)).dataset.objects.size).toBe(1000);
  await expect(freeing(1, 1000)).rejects.toMatchObject({code: 'LimitExceeded'});
});
