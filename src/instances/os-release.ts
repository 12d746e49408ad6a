import {closeSync, constants, fstatSync, readSync} from 'node:fs';
import {errnoOf} from '../errors.ts';
import {AT_FDCWD, openAt, openBeneath} from '../sys/files.ts';

const places = ['etc/os-release', 'usr/lib/os-release'];
const maxBytes = 64 * 1024;

/**
 * The assignments of a tree's os-release file (os-release(5)), which is foreign text. Nothing outside the tree is ever
 * read: where /etc/os-release is a symbolic link, /usr/lib/os-release is taken, where it leads in every
 * distribution. Empty when there is none.
 */
export function readOsRelease(tree: string): Record<string, string> {
  const top = openAt(AT_FDCWD, tree, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    for (const place of places) {
      const text = readBeneath(top, place);
      if (text !== undefined) return parseOsRelease(text);
    }
    return {};
  } finally {
    closeSync(top);
  }
}

function readBeneath(top: number, place: string): string | undefined {
  let fd: number;
  try {
    fd = openBeneath(top, place, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (['ENOENT', 'ELOOP', 'ENOTDIR', 'EACCES', 'ENXIO'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
  try {
    if (!fstatSync(fd).isFile()) return undefined;
    const bytes = Buffer.alloc(maxBytes);
    return bytes.toString('utf8', 0, readSync(fd, bytes, 0, maxBytes, 0));
  } finally {
    closeSync(fd);
  }
}

/** Lines `NAME=VALUE`, the value as a shell would read it: quoted or not, with backslashes. */
export function parseOsRelease(text: string): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const line of text.split('\n')) {
    const [, name, value] = /^([A-Z][A-Z0-9_]*)=(.*?)\s*$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) fields[name] = unquoted(value);
  }
  return fields;
}

function unquoted(value: string): string {
  const [, quote, inner] = /^(["'])(.*)\1$/s.exec(value) ?? [];
  if (quote === "'") return inner ?? '';
  return (inner ?? value).replace(/\\(.)/g, '$1');
}
