/** POSIX access control lists: the text that tar keeps, and the bytes that Linux keeps (acl(5), xattr(7)). */
import {ImgctlError} from '../errors.ts';

const xattrVersion = 2;
const noId = 0xffffffff;
const tags: Record<string, [withoutId: number, withId: number]> = {
  user: [0x01, 0x02],
  u: [0x01, 0x02],
  group: [0x04, 0x08],
  g: [0x04, 0x08],
  mask: [0x10, 0x10],
  m: [0x10, 0x10],
  other: [0x20, 0x20],
  o: [0x20, 0x20],
};

interface AclEntry {
  tag: number;
  permissions: number;
  id: number;
}

/**
 * The value of `system.posix_acl_access` or `_default`. Entries are `TAG:ID:PERMISSIONS` or star's
 * `TAG:NAME:PERMISSIONS:ID`. Undefined when an entry has only a name, because names of the maker's machine
 * mean nothing here.
 */
export function aclXattr(text: string): Buffer | undefined {
  const entries: AclEntry[] = [];
  for (const line of text.split(/[\n,]/)) {
    const content = line.replace(/#.*/, '').trim();
    const entry = content === '' ? undefined : parseEntry(content);
    if (entry === 'named') return undefined;
    if (entry) entries.push(entry);
  }
  entries.sort((left, right) => left.tag - right.tag || left.id - right.id); // the order the kernel wants
  const bytes = Buffer.alloc(4 + entries.length * 8);
  bytes.writeUInt32LE(xattrVersion, 0);
  entries.forEach(({tag, permissions, id}, index) => {
    bytes.writeUInt16LE(tag, 4 + index * 8);
    bytes.writeUInt16LE(permissions, 6 + index * 8);
    bytes.writeUInt32LE(id, 8 + index * 8);
  });
  return bytes;
}

function parseEntry(line: string): AclEntry | 'named' {
  const [word = '', qualifier = '', permissions = '', id] = line.split(':');
  const tag = tags[word];
  const number = id ?? qualifier;
  if (tag && qualifier !== '' && !/^[0-9]{1,10}$/.test(number)) return 'named';
  if (!tag || !/^[r-][w-][x-]$/.test(permissions)) {
    throw new ImgctlError(
      'InvalidArchive',
      `The archive has an access control list that cannot be read: "${line}"`,
    );
  }
  const bits = [4, 2, 1].filter((_, index) => permissions[index] !== '-');
  return {
    tag: qualifier === '' ? tag[0] : tag[1],
    permissions: bits.reduce((sum, bit) => sum + bit, 0),
    id: qualifier === '' ? noId : Number(number) >>> 0,
  };
}

const words: Readonly<Record<number, string>> = {
  1: 'user',
  2: 'user',
  4: 'group',
  8: 'group',
  16: 'mask',
  32: 'other',
};

/** The text for tar of a list as Linux keeps it, with numbers for users: the opposite of `aclXattr`. */
export function aclText(xattr: Buffer): string {
  const entries: string[] = [];
  for (let offset = 4; offset + 8 <= xattr.length; offset += 8) {
    const permissions = xattr.readUInt16LE(offset + 2);
    const id = xattr.readUInt32LE(offset + 4);
    const letters = [...'rwx'].map((letter, index) => (permissions & (4 >> index) ? letter : '-')).join('');
    entries.push(`${words[xattr.readUInt16LE(offset)]}:${id === noId ? '' : id}:${letters}`);
  }
  return entries.join(',');
}
