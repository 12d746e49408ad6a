/** Extended headers of POSIX pax: `LENGTH KEY=VALUE\n` records, and what they say about an entry. */
import {ImgctlError} from '../errors.ts';
import {aclXattr} from './posix-acl.ts';

/** Records in their order; keys of GNU sparse 0.0 repeat. */
export type PaxRecord = [key: string, value: Buffer];

const aclKinds = ['access', 'default'] as const;
/** What most entries have. */
const none = new Map<string, Buffer>();

export function parsePaxRecords(bytes: Buffer): PaxRecord[] {
  const records: PaxRecord[] = [];
  for (let start = 0; start < bytes.length; ) {
    if (bytes[start] === 0) break; // some writers fill up with NULs
    const space = bytes.indexOf(0x20, start);
    const digits = bytes.toString('latin1', start, space);
    if (space < 0 || space - start > 10 || !/^[0-9]+$/.test(digits)) throw invalid('length');
    const end = start + Number(digits);
    const equals = bytes.indexOf(0x3d, space);
    if (end > bytes.length || equals < 0 || equals >= end || bytes[end - 1] !== 0x0a) throw invalid('record');
    records.push([
      bytes.toString('utf8', space + 1, equals),
      Buffer.from(bytes.subarray(equals + 1, end - 1)),
    ]);
    start = end;
  }
  return records;
}

/** The records that hold for one entry: its own over the global ones; an empty value takes one away. */
export class PaxAttributes {
  readonly #last = new Map<string, Buffer>();
  /** The entry's own records, for keys that repeat. */
  readonly records: readonly PaxRecord[];

  constructor(global: ReadonlyMap<string, Buffer>, records: readonly PaxRecord[]) {
    this.records = records;
    for (const [key, value] of global) this.#last.set(key, value);
    for (const [key, value] of records) {
      if (value.length === 0 && !/^(SCHILY|LIBARCHIVE)\.xattr\./.test(key)) this.#last.delete(key);
      else this.#last.set(key, value);
    }
  }

  bytes(key: string): Buffer | undefined {
    return this.#last.get(key);
  }

  /** A decimal number that is not negative. */
  number(key: string): number | undefined {
    const text = this.#last.get(key)?.toString('latin1');
    if (text === undefined) return undefined;
    const value = Number(text);
    if (!/^[0-9]+$/.test(text) || !Number.isSafeInteger(value)) throw invalid(`value of "${key}"`);
    return value;
  }

  /** A time in nanoseconds; digits beyond are cut off towards the past. */
  timeNs(key: string): bigint | undefined {
    const text = this.#last.get(key)?.toString('latin1');
    if (text === undefined) return undefined;
    const match = /^(-?)([0-9]{1,18})(?:\.([0-9]*))?$/.exec(text);
    if (!match) throw invalid(`value of "${key}"`);
    const fraction = (match[3] ?? '').slice(0, 9).padEnd(9, '0');
    const value = BigInt(match[2] ?? '0') * 1_000_000_000n + BigInt(fraction);
    return match[1] ? -value : value;
  }

  /** Extended attributes; an access control list that names users of another machine is left out. */
  xattrs(): Map<string, Buffer> {
    if (this.#last.size === 0) return none;
    const found = new Map<string, Buffer>();
    for (const [key, value] of this.#last) {
      if (key.startsWith('LIBARCHIVE.xattr.')) {
        found.set(
          decodedName(key.slice('LIBARCHIVE.xattr.'.length)),
          Buffer.from(value.toString('latin1'), 'base64'),
        );
      }
    }
    for (const [key, value] of this.#last) {
      if (key.startsWith('SCHILY.xattr.')) found.set(key.slice('SCHILY.xattr.'.length), value);
    }
    for (const kind of aclKinds) {
      const acl = this.#acl(kind);
      if (acl) found.set(`system.posix_acl_${kind}`, acl);
    }
    return found;
  }

  /** True when `xattrs` left an access control list out. */
  hasForeignAcl(): boolean {
    if (this.#last.size === 0) return false;
    return aclKinds.some((kind) => this.#last.has(`SCHILY.acl.${kind}`) && !this.#acl(kind));
  }

  #acl(kind: string): Buffer | undefined {
    const text = this.#last.get(`SCHILY.acl.${kind}`);
    return text && aclXattr(text.toString());
  }
}

function decodedName(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    throw invalid('attribute name');
  }
}

function invalid(what: string): ImgctlError {
  return new ImgctlError('InvalidArchive', `The archive has an extended header with an invalid ${what}`);
}
