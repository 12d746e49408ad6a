import type {TarEntry} from '../../formats/tar-entry.ts';

/** What a tree is made of; entries of tar archives are such. */
export interface TreeEntry extends Omit<TarEntry, 'type' | 'body' | 'plain' | 'xattrs'> {
  xattrs: ReadonlyMap<string, Buffer>;
  type: TarEntry['type'] | 'socket';
  /** Of a file: its contents, or the file itself. */
  body?: TarEntry['body'];
  plain?: TarEntry['plain'];
  place?: PlaceFile;
}

/** Puts a whole file under a name where nothing is, and returns it open; whoever asked closes it. */
export type PlaceFile = (dir: number, name: Buffer) => number;
