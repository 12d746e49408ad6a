/** Writes the tree of a ZFS file system as a tar archive, with owners and attributes that no file system has to keep. */
import {encodeTarHeader, type NewTarEntry, tarEnd, tarPadding} from '../../../formats/tar-writer.ts';
import {Dataset, type DatasetLimits} from '../../../formats/zfs-stream/dataset.ts';
import {type FileEntry, FileTree} from '../../../formats/zfs-stream/file-tree.ts';
import {otherOrigin} from '../../../formats/zfs-stream/zfs-errors.ts';
import type {Losses} from '../../../sys/losses.ts';
import {findRuns, readBody} from '../export/tree-entry.ts';
import {ContentStore} from '../zfs/content-store.ts';
import {ScratchFile} from '../zfs/scratch-file.ts';
import type {ZfsStream} from '../zfs/unpack-zfs.ts';

/** Yields the archive; what it cannot hold is counted in `losses`. */
export async function* archiveOf(
  stream: ZfsStream,
  limits: DatasetLimits,
  losses: Losses,
): AsyncGenerator<Buffer> {
  const {fromGuid} = stream.begin;
  if (fromGuid !== undefined) throw otherOrigin(fromGuid, undefined);
  using scratch = new ScratchFile();
  using contents = new ContentStore();
  const dataset = new Dataset(scratch, contents, limits);
  await stream.applyTo(dataset);
  const tree = new FileTree(dataset, (object, size) => contents.read(object, size));
  for (const entry of tree.entries()) yield* memberOf(entry, contents, losses);
  yield tarEnd;
}

function* memberOf(entry: FileEntry, contents: ContentStore, losses: Losses): Generator<Buffer> {
  const {type, object, size} = entry;
  const label = String(entry.path);
  if (entry.hasAcl) losses.add('nfs acl', label);
  if (entry.hasForeignOwner) losses.add('domain', label);
  if (type === 'socket' || type === 'fifo') {
    losses.add('special', label);
    return;
  }
  const isDirectory = type === 'directory';
  const path = Buffer.from(
    `./${entry.path.toString('latin1')}${isDirectory && label !== '' ? '/' : ''}`,
    'latin1',
  );
  const member: NewTarEntry = {...entry, type, path};
  if (type === 'hardlink') member.linkPath = Buffer.concat([Buffer.from('./'), entry.linkPath]);
  if (type !== 'file') {
    yield encodeTarHeader(member);
    return;
  }
  const fd = contents.openSized(object, size);
  const runs = findRuns(fd, size);
  yield encodeTarHeader(runs ? {...member, runs} : member);
  let stored = 0;
  for (const run of runs ?? [{offset: 0, length: size}]) {
    yield* readBody(fd, run);
    stored += run.length;
  }
  yield tarPadding(stored);
}
