/**
 * Applies a layer to a tree that holds its base: whiteouts take away what the base had, entries replace it, and
 * directories that the layer does not name keep their times. What the layer itself brought is not taken away by it,
 * whatever the order (OCI image specification, layer.md).
 */
import {closeSync, constants, fstatSync, lstatSync, readdirSync} from 'node:fs';
import {errnoOf} from '../../../errors.ts';
import type {TarEntry} from '../../../formats/tar-entry.ts';
import {openBeneath, procPath, setTimesAt} from '../../../sys/files.ts';
import type {Losses} from '../../../sys/losses.ts';
import {removeTreeAt} from '../../../sys/remove-tree.ts';
import {listXattrs, removeXattr} from '../../../sys/xattr.ts';
import {entryParts} from '../entry-path.ts';
import {TreeWriter, type TreeWriterOptions} from '../tree-writer.ts';
import {hiddenBy, isWhiteout, opaqueName} from './whiteout.ts';

const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

interface Times {
  atimeNs: bigint;
  mtimeNs: bigint;
}

export class LayerWriter {
  readonly #top: number;
  readonly #writer: TreeWriter;
  /** Paths (latin1) that the layer has brought, with the directories above them. */
  readonly #brought = new Set<string>();
  /** Directories of the base in which something is changed, with their times before that. */
  readonly #times = new Map<string, Times>();

  /** `top` is open and holds the base; the caller closes it. The umask must be 0. */
  constructor(top: number, options: TreeWriterOptions) {
    this.#top = top;
    this.#writer = new TreeWriter(top, {...options, hasBase: true});
  }

  get losses(): Losses {
    return this.#writer.losses;
  }

  async add(entry: TarEntry): Promise<void> {
    const parts = entryParts(entry.path);
    const name = Buffer.from(parts.at(-1) ?? '', 'latin1');
    const parent = parts.slice(0, -1);
    this.#keepTimes(parent);
    if (isWhiteout(name)) {
      await this.#hide(parent, name);
      return;
    }
    for (let depth = 1; depth <= parts.length; depth++) this.#brought.add(parts.slice(0, depth).join('/'));
    if (parts.length > 0) await this.#makeWay(parent, name, entry);
    await this.#writer.add(entry);
  }

  /** Finishes directories; call once, after the last entry. */
  finish(): void {
    const given = this.#writer.finishDirectories();
    for (const [path, {atimeNs, mtimeNs}] of this.#times) {
      if (given.has(path)) continue;
      const fd = this.#openDirectory(path);
      if (fd === undefined) continue;
      try {
        setTimesAt(fd, '', atimeNs, mtimeNs);
      } finally {
        closeSync(fd);
      }
    }
  }

  async close(): Promise<void> {
    await this.#writer.close();
  }

  #keepTimes(parent: readonly string[]): void {
    const path = parent.join('/');
    if (this.#times.has(path)) return;
    const fd = this.#openDirectory(path);
    if (fd === undefined) return;
    const {atimeNs, mtimeNs} = fstatSync(fd, {bigint: true});
    closeSync(fd);
    this.#times.set(path, {atimeNs, mtimeNs});
  }

  async #hide(parent: readonly string[], name: Buffer): Promise<void> {
    const dir = this.#openDirectory(parent.join('/'));
    if (dir === undefined) return;
    try {
      const hidden = hiddenBy(name);
      const names = name.equals(opaqueName)
        ? readdirSync(`/proc/self/fd/${dir}`, {encoding: 'buffer'})
        : [hidden].filter((one) => one !== undefined);
      for (const one of names) {
        const path = [...parent, one.toString('latin1')].join('/');
        if (!this.#brought.has(path)) await this.#remove(dir, one, path);
      }
    } finally {
      closeSync(dir);
    }
  }

  /** What the base has under the name goes, unless both are directories; then only foreign attributes go. */
  async #makeWay(parent: readonly string[], name: Buffer, entry: TarEntry): Promise<void> {
    const dir = this.#openDirectory(parent.join('/'));
    if (dir === undefined) return;
    try {
      const stats = lstatSync(procPath(dir, name), {throwIfNoEntry: false});
      if (!stats) return;
      if (entry.type !== 'directory') {
        if (stats.isDirectory())
          await this.#remove(dir, name, [...parent, name.toString('latin1')].join('/'));
      } else if (stats.isDirectory()) {
        const file = procPath(dir, name);
        for (const attribute of listXattrs(file))
          if (!entry.xattrs.has(attribute)) removeXattr(file, attribute);
      }
    } finally {
      closeSync(dir);
    }
  }

  async #remove(dir: number, name: Buffer, path: string): Promise<void> {
    this.#writer.forget(path);
    await removeTreeAt(dir, name);
  }

  /** Undefined where there is none; the writer says what is wrong with a name that leads elsewhere. */
  #openDirectory(path: string): number | undefined {
    try {
      return openBeneath(this.#top, path === '' ? '.' : Buffer.from(path, 'latin1'), directoryFlags);
    } catch (error) {
      if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) return undefined;
      throw error;
    }
  }
}
