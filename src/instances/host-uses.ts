/**
 * What on this host uses an image besides imgctl (design.md §5): mounts, loop devices, running processes, attached
 * portable services and merged extensions. Read from the kernel's files, without a daemon. What cannot be read (a
 * process that has just ended, or belongs to somebody else) counts as no use.
 */

import {existsSync, readdirSync, readFileSync, readlinkSync, realpathSync, statSync} from 'node:fs';
import path from 'node:path';
import {errnoOf} from '../errors.ts';
import type {ImageClass} from '../import1/image-class.ts';

export interface HostUse {
  kind: 'mount' | 'loop' | 'process' | 'portable' | 'extension';
  /** For messages: `mounted at "/mnt"`. */
  text: string;
}

export interface UsedImage {
  /** The image's directory or file. */
  path: string;
  imageClass: ImageClass;
  name: string;
  /** Of an image or instance in a pool of type zfs, which mounts it itself. */
  dataset?: string | undefined;
}

interface Mount {
  device: string;
  /** What is mounted: a device or, with ZFS, a dataset or snapshot. */
  source: string;
  /** Which directory of its file system is mounted. */
  root: string;
  place: string;
}

const ignored = new Set(['ENOENT', 'ESRCH', 'EACCES', 'EPERM', 'ENOTDIR', 'EINVAL', 'ELOOP']);

/** Nothing for an image that is not there. */
export function findHostUses(image: UsedImage): HostUse[] {
  if (image.dataset !== undefined) return datasetUses(image.dataset, image.path);
  const found = attempt(() => realpathSync(image.path));
  if (found === undefined) return [];
  return [
    ...mountUses(found),
    ...loopUses(found),
    ...processUses(found),
    ...portableUses(found, image.imageClass),
    ...extensionUses(found, image),
  ];
}

/**
 * Mounts of the dataset and its snapshots in every mount namespace that can be seen, but not at its own place, where ZFS
 * itself mounts it; mounts of its disk; who has that open or runs in its tree.
 */
function datasetUses(dataset: string, imagePath: string): HostUse[] {
  const found = attempt(() => realpathSync(imagePath));
  const isUse = ({source, place}: Mount): boolean => {
    if (source === dataset) return place !== imagePath && place !== found;
    return source.startsWith(`${dataset}@`) || source === imagePath || source === found;
  };
  const texts = new Set<string>();
  for (const [pid, mounts] of mountNamespaces()) {
    for (const mount of mounts.filter(isUse))
      texts.add(pid === 'self' ? `mounted at "${mount.place}"` : `mounted by ${processText(pid)}`);
  }
  const mounted = [...texts].map((text): HostUse => ({kind: 'mount', text}));
  return found === undefined ? mounted : [...mounted, ...loopUses(found), ...processUses(found)];
}

/** Mounts below the image, and of a part of it anywhere, in every mount namespace that can be seen. */
function mountUses(imagePath: string): HostUse[] {
  const own = readMounts('self');
  const place = locate(imagePath, own);
  const below = own.filter((mount) => isWithin(mount.place, imagePath));
  const texts = new Set(below.map((mount) => `mounted at "${mount.place}"`));
  if (place) {
    for (const [pid, mounts] of mountNamespaces()) {
      for (const mount of mounts) {
        if (mount.device !== place.device || !isWithin(mount.root, place.root)) continue;
        texts.add(pid === 'self' ? `mounted at "${mount.place}"` : `mounted by ${processText(pid)}`);
      }
    }
  }
  return [...texts].map((text) => ({kind: 'mount', text}));
}

/** The file system and the directory in it where the path is. */
function locate(file: string, mounts: readonly Mount[]): {device: string; root: string} | undefined {
  const holders = mounts.filter((mount) => mount.place !== file && isWithin(file, mount.place));
  // The deepest one counts; of several over each other the last.
  const holder = holders.sort((a, b) => a.place.length - b.place.length).at(-1);
  if (!holder) return undefined;
  return {device: holder.device, root: path.join(holder.root, path.relative(holder.place, file))};
}

function mountNamespaces(): Map<string, Mount[]> {
  const namespaces = new Map<string, Mount[]>();
  const seen = new Set<string>();
  for (const pid of ['self', ...processes()]) {
    const namespace = attempt(() => readlinkSync(`/proc/${pid}/ns/mnt`));
    if (namespace === undefined || seen.has(namespace)) continue;
    seen.add(namespace);
    namespaces.set(pid, readMounts(pid));
  }
  return namespaces;
}

/** proc(5), mountinfo: id, parent, device, root, place, …; blanks in names are octal escapes. */
function readMounts(pid: string): Mount[] {
  const text = attempt(() => readFileSync(`/proc/${pid}/mountinfo`, 'utf8')) ?? '';
  return text.split('\n').flatMap((line) => {
    const [, , device, root, place] = line.split(' ');
    if (device === undefined || root === undefined || place === undefined) return [];
    // Behind the optional fields: type, source, options.
    const source = line.split(' - ')[1]?.split(' ')[1] ?? '';
    return {device, source: unescapeOctal(source), root: unescapeOctal(root), place: unescapeOctal(place)};
  });
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits) => String.fromCharCode(Number.parseInt(digits, 8)));
}

function loopUses(imagePath: string): HostUse[] {
  const names = attempt(() => readdirSync('/sys/block')) ?? [];
  return names.flatMap((name): HostUse[] => {
    if (!name.startsWith('loop')) return [];
    const backing = attempt(() => readFileSync(`/sys/block/${name}/loop/backing_file`, 'utf8'));
    if (backing === undefined || !isWithin(backing.replace(/\n$/, ''), imagePath)) return [];
    return [{kind: 'loop', text: `attached to "/dev/${name}"`}];
  });
}

/** Processes whose root is the image's directory (nspawn, chroot), or that have its file open (a virtual machine). */
function processUses(imagePath: string): HostUse[] {
  const image = attempt(() => statSync(imagePath));
  if (!image) return [];
  for (const pid of processes()) {
    if (pid === String(process.pid)) continue;
    const isUser = image.isDirectory() ? isRootOf(pid, image) : hasOpen(pid, imagePath);
    // One is enough: a container has many.
    if (isUser) return [{kind: 'process', text: `used by ${processText(pid)}`}];
  }
  return [];
}

function isRootOf(pid: string, image: {dev: number; ino: number}): boolean {
  const root = attempt(() => statSync(`/proc/${pid}/root`));
  return root !== undefined && root.dev === image.dev && root.ino === image.ino;
}

function hasOpen(pid: string, imagePath: string): boolean {
  const descriptors = attempt(() => readdirSync(`/proc/${pid}/fd`)) ?? [];
  return descriptors.some((fd) => attempt(() => readlinkSync(`/proc/${pid}/fd/${fd}`)) === imagePath);
}

function processText(pid: string): string {
  const name = attempt(() => readFileSync(`/proc/${pid}/comm`, 'utf8').trim());
  return `process ${pid}${name ? ` (${name})` : ''}`;
}

function processes(): string[] {
  return (attempt(() => readdirSync('/proc')) ?? []).filter((name) => /^\d+$/.test(name));
}

/** Attached units carry a drop-in that names their image: `RootImage=PATH`, `RootDirectory=PATH`. */
function portableUses(imagePath: string, imageClass: ImageClass): HostUse[] {
  if (imageClass !== 'portable') return [];
  const uses: HostUse[] = [];
  for (const directory of ['/etc/systemd/system.attached', '/run/systemd/system.attached']) {
    for (const entry of attempt(() => readdirSync(directory)) ?? []) {
      const file = path.join(directory, entry, '20-portable.conf');
      if (!entry.endsWith('.d')) continue;
      const text = attempt(() => readFileSync(file, 'utf8')) ?? '';
      const isNamed = text
        .split('\n')
        .some((line) => /^(?:Root|Extension)/.test(line) && line.includes(imagePath));
      if (isNamed) uses.push({kind: 'portable', text: `attached as "${entry.slice(0, -2)}"`});
    }
  }
  return uses;
}

/** systemd writes down which extensions are merged, by name, in the tree they are merged into. */
function extensionUses(imagePath: string, {imageClass, name}: UsedImage): HostUse[] {
  const lists: Partial<Record<ImageClass, string[]>> = {
    sysext: ['/usr/.systemd-sysext/extensions', '/opt/.systemd-sysext/extensions'],
    confext: ['/etc/.systemd-confext/confexts'],
  };
  const searched = ['extensions', 'confexts'].flatMap((kind) => [
    `/var/lib/${kind}`,
    `/run/${kind}`,
    `/etc/${kind}`,
  ]);
  if (!searched.includes(path.dirname(imagePath))) return [];
  for (const list of lists[imageClass] ?? []) {
    const text = existsSync(list) ? attempt(() => readFileSync(list, 'utf8')) : undefined;
    if (text?.split('\n').includes(name)) return [{kind: 'extension', text: `merged as extension "${name}"`}];
  }
  return [];
}

function isWithin(file: string, directory: string): boolean {
  return file === directory || file.startsWith(directory === '/' ? '/' : `${directory}/`);
}

/** Undefined for what is not there or may not be seen. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (ignored.has(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}
