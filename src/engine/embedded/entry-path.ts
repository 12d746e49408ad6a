import {ImgctlError} from '../../errors.ts';

const longestName = 255;
const deepest = 128;

/**
 * The parts of a name in an archive, as latin1 text that keeps every byte; none for the top itself. Leading `/`
 * and `./` are dropped. A name with `..` refuses the whole archive, because no honest archive has one.
 */
export function entryParts(path: Buffer): string[] {
  const parts = path
    .toString('latin1')
    .split('/')
    .filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw refused(path, 'it contains ".."');
  if (parts.some((part) => part.length > longestName)) throw refused(path, 'a part of it is too long');
  if (path.includes(0)) throw refused(path, 'it contains a NUL byte');
  if (parts.length > deepest) {
    throw new ImgctlError(
      'LimitExceeded',
      `The archive is refused: it has more than ${deepest} levels of directories`,
    );
  }
  return parts;
}

const oddPart = /(?:^|\/)\.{0,2}(?:\/|$)|\0/;

/** The parts joined; '' for the top. Most names need not be taken apart for that. */
export function entryPath(path: Buffer): string {
  return plainPath(path) ?? entryParts(path).join('/');
}

/** The same of a name that is as most are; undefined where `entryParts` has to look at it. */
export function plainPath(path: Buffer): string | undefined {
  const start = path[0] === 0x2e && path[1] === 0x2f ? 2 : 0;
  const end = path.length - (path.length > start && path[path.length - 1] === 0x2f ? 1 : 0);
  // So short a path has no part that is too long, nor too many.
  if (end - start > longestName) return undefined;
  const text = path.toString('latin1', start, end);
  return oddPart.test(text) ? undefined : text;
}

/** Of a path that `entryParts` joined; '' is the top. */
export function parentOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0));
}

/** A refusal that names the entry. */
export function refused(path: Buffer | string, reason: string): ImgctlError {
  const name = typeof path === 'string' ? Buffer.from(path, 'latin1').toString() : path.toString();
  return new ImgctlError(
    'InvalidArchive',
    `The archive is refused because of its entry ${JSON.stringify(name)}: ${reason}`,
    {details: {format: 'tar', fault: 'entry'}},
  );
}
