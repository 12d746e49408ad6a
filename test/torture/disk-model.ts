/**
 * What a disk may hold after a power cut. Plays the log of record.c up to some call, and then leaves out, by chance, what was
 * not synced: writes to files one by one, names that were made, moved or removed in directories that were not synced.
 * Stricter than most file systems: a new file that is synced may still lose its name. A rename is whole or not at all.
 */
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import type {Random} from './random.ts';

export interface LoggedCall {
  op: string;
  inode: string;
  a: number;
  b: number;
  path: string;
  path2: string;
  bytes: Buffer;
}

export function parseLog(log: Buffer): LoggedCall[] {
  const calls: LoggedCall[] = [];
  for (let at = 0; at < log.length; ) {
    const fields: string[] = [];
    while (fields.length < 7) {
      const end = log.indexOf(0, at);
      if (end < 0) return calls;
      fields.push(log.toString('utf8', at, end));
      at = end + 1;
    }
    const [op = '', inode = '', a, b, from = '', to = '', length] = fields;
    const bytes = log.subarray(at, at + Number(length));
    calls.push({op, inode, a: Number(a), b: Number(b), path: from, path2: to, bytes});
    at += bytes.length;
  }
  return calls;
}

type Kind = 'file' | 'directory' | 'link';

/** What was there before the first call of a log, under the inodes that the log names. */
export interface Snapshot {
  inode: string;
  kind: Kind;
  mode: number;
  content: Buffer;
  entries: [string, Snapshot][];
}

export function takeSnapshot(place: string): Snapshot {
  const stats = lstatSync(place);
  const kind = stats.isDirectory() ? 'directory' : stats.isSymbolicLink() ? 'link' : 'file';
  const snapshot = {inode: String(stats.ino), kind, mode: stats.mode & 0o7777} as const;
  if (kind === 'directory') {
    const names = readdirSync(place);
    const entries = names.map((name): [string, Snapshot] => [name, takeSnapshot(path.join(place, name))]);
    return {...snapshot, content: Buffer.alloc(0), entries};
  }
  const content = kind === 'link' ? Buffer.from(readlinkSync(place)) : readFileSync(place);
  return {...snapshot, content, entries: []};
}

class Node {
  readonly kind: Kind;
  mode: number;
  content: Buffer;
  /** Done to the content since it was synced. */
  pending: {at: number; bytes: Buffer | undefined; size: number}[] = [];
  readonly entries = new Map<string, Node>();

  constructor(kind: Kind, mode: number, content: Buffer = Buffer.alloc(0)) {
    this.kind = kind;
    this.mode = mode;
    this.content = content;
  }
}

/** One change of names: all of it comes to the disk, or none. */
interface NameChange {
  sets: {directory: Node; name: string; node: Node | undefined}[];
}

export class DiskModel {
  readonly #top = new Node('directory', 0o755);
  readonly #byInode = new Map<string, Node>();
  /** As the programs saw it; `entries` of the nodes are what is on the disk. */
  readonly #seen = new Map<Node, Map<string, Node>>();
  #changes: NameChange[] = [];

  /** All of the given trees is on the disk, under these names. */
  constructor(trees: Readonly<Record<string, Snapshot>>) {
    for (const [name, tree] of Object.entries(trees)) this.#put(this.#top, name, this.#nodeOf(tree));
  }

  #nodeOf({inode, kind, mode, content, entries}: Snapshot): Node {
    const known = this.#byInode.get(inode);
    if (known) return known;
    const node = new Node(kind, mode, content);
    for (const [name, entry] of entries) this.#put(node, name, this.#nodeOf(entry));
    this.#byInode.set(inode, node);
    return node;
  }

  #put(directory: Node, name: string, node: Node): void {
    directory.entries.set(name, node);
    this.#names(directory).set(name, node);
  }

  #names(directory: Node): Map<string, Node> {
    const names = this.#seen.get(directory) ?? new Map<string, Node>();
    this.#seen.set(directory, names);
    return names;
  }

  #change(sets: NameChange['sets']): void {
    for (const {directory, name, node} of sets) {
      if (node) this.#names(directory).set(name, node);
      else this.#names(directory).delete(name);
    }
    this.#changes.push({sets});
  }

  /** The directory of a path and the last part of it; undefined for what is not looked at. */
  #place(text: string): {directory: Node; name: string; node: Node | undefined} | undefined {
    const parts = text.split('/').filter((part) => part !== '' && part !== '.');
    const name = parts.pop();
    let directory: Node | undefined = this.#top;
    for (const part of parts) directory = directory && this.#names(directory).get(part);
    if (!directory || directory === this.#top || name === undefined) return undefined;
    return {directory, name, node: this.#names(directory).get(name)};
  }

  play({op, inode, a, b, path: from, path2: to, bytes}: LoggedCall): void {
    const node = this.#byInode.get(inode);
    if (op === 'W') node?.pending.push({at: a, bytes: Buffer.from(bytes), size: -1});
    else if (op === 'Z') node?.pending.push({at: a, bytes: Buffer.alloc(b), size: -2});
    else if (op === 'T') node?.pending.push({at: 0, bytes: undefined, size: a});
    else if (op === 'M') {
      if (node) node.mode = a;
    } else if (op === 'S') this.#sync(node);
    else if (op === 'A') this.#syncAll();
    else if (op === 'U') this.#remove(from);
    else if (op === 'R' || op === 'X') this.#rename(from, to, op === 'X');
    else this.#make(op, {inode, mode: a, name: from, bytes});
  }

  #make(
    op: string,
    {inode, mode, name, bytes}: {inode: string; mode: number; name: string; bytes: Buffer},
  ): void {
    const kind = op === 'D' ? 'directory' : op === 'Y' ? 'link' : 'file';
    const known = op === 'L' ? this.#byInode.get(inode) : undefined;
    const node = known ?? new Node(kind, mode, Buffer.from(bytes));
    this.#byInode.set(inode, node);
    const place = this.#place(name);
    if (place) this.#change([{directory: place.directory, name: place.name, node}]);
  }

  #remove(name: string): void {
    const place = this.#place(name);
    if (place) this.#change([{directory: place.directory, name: place.name, node: undefined}]);
  }

  #rename(from: string, to: string, isExchange: boolean): void {
    const [one, two] = [this.#place(from), this.#place(to)];
    if (!one || !two) return;
    this.#change([
      {directory: one.directory, name: one.name, node: isExchange ? two.node : undefined},
      {directory: two.directory, name: two.name, node: one.node},
    ]);
  }

  #sync(node: Node | undefined): void {
    if (node?.kind === 'directory') this.#syncNames(node);
    else if (node) {
      node.content = contentOf(node, () => true);
      node.pending = [];
    }
  }

  /** With what was done to these names before, wherever it was done: the latest state of a name is what comes to the disk. */
  #syncNames(synced: Node): void {
    const due = new Set<NameChange>();
    const names = new Map<Node, Set<string>>();
    for (const change of this.#changes.toReversed()) {
      const isDue = change.sets.some(
        ({directory, name}) => directory === synced || names.get(directory)?.has(name),
      );
      if (!isDue) continue;
      due.add(change);
      for (const {directory, name} of change.sets)
        names.set(directory, (names.get(directory) ?? new Set()).add(name));
    }
    for (const change of this.#changes) if (due.has(change)) apply(change);
    this.#changes = this.#changes.filter((change) => !due.has(change));
  }

  #syncAll(): void {
    for (const change of this.#changes) apply(change);
    this.#changes = [];
    for (const node of this.#byInode.values()) if (node.kind === 'file') this.#sync(node);
  }

  /** Cuts the power: `keeps` is asked of each thing that was not synced. Nothing can be played afterwards. */
  cut(keeps: () => boolean): void {
    const lost = new Map<Node, Set<string>>();
    for (const change of this.#changes) {
      const needsLost = change.sets.some(({directory, name}) => lost.get(directory)?.has(name));
      if (!needsLost && keeps()) {
        apply(change);
        continue;
      }
      for (const {directory, name} of change.sets)
        lost.set(directory, (lost.get(directory) ?? new Set()).add(name));
    }
    for (const node of new Set(this.#byInode.values())) {
      node.content = contentOf(node, keeps);
      node.pending = [];
    }
  }

  /** Writes what is on the disk under `name` to `place`, which must not exist; `skip` names what a restart empties. */
  write(name: string, place: string, skip: readonly string[] = []): void {
    const node = this.#top.entries.get(name);
    if (node) writeNode(node, place, {written: new Map(), skip: skip.map((text) => path.join(place, text))});
  }
}

function apply({sets}: NameChange): void {
  for (const {directory, name, node} of sets) {
    if (node) directory.entries.set(name, node);
    else directory.entries.delete(name);
  }
}

function contentOf(node: Node, keeps: () => boolean): Buffer {
  let content = node.content;
  for (const {at, bytes, size} of node.pending) {
    if (!keeps()) continue;
    if (bytes === undefined) {
      content = Buffer.concat([content.subarray(0, size), Buffer.alloc(Math.max(0, size - content.length))]);
      continue;
    }
    const end = size === -2 ? Math.min(at + bytes.length, content.length) : at + bytes.length;
    if (end > content.length) content = Buffer.concat([content, Buffer.alloc(end - content.length)]);
    else content = Buffer.from(content);
    bytes.copy(content, at, 0, Math.max(0, end - at));
  }
  return content;
}

function writeNode(node: Node, place: string, state: {written: Map<Node, string>; skip: string[]}): void {
  if (state.skip.includes(place)) return;
  const twin = state.written.get(node);
  state.written.set(node, place);
  if (twin !== undefined && node.kind !== 'directory') linkSync(twin, place);
  else if (node.kind === 'link') symlinkSync(node.content.toString(), place);
  else if (node.kind === 'file') writeFileSync(place, node.content, {mode: node.mode});
  else {
    mkdirSync(place);
    for (const [name, child] of node.entries) writeNode(child, path.join(place, name), state);
  }
  if (node.kind !== 'link') chmodSync(place, node.mode);
}

/** How much of what was not synced a cut leaves: nothing, everything, or by chance. */
export function keepsBy(random: Random): () => boolean {
  const share = random.pick([0, 0.2, 0.5, 0.8, 1]);
  return () => random.next() < share;
}
