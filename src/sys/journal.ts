import {checked, native} from './native.ts';

/** Fields of an entry; names are upper case, as the journal wants them. */
export type JournalFields = Readonly<Record<string, string | number>>;

/** Where the journal of the system listens. */
export const journalSocket = '/run/systemd/journal/socket';

/** Puts an entry into the journal by its own protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL); throws when it is not there. */
export function sendToJournal(socket: string, fields: JournalFields): void {
  const parts = Object.entries(fields).map(([name, value]) => encodeField(name, String(value)));
  checked(native().sendDatagram(Buffer.from(socket), Buffer.concat(parts)), 'sendto', socket);
}

/** A value with a line end goes with its length, others as a line. */
function encodeField(name: string, value: string): Buffer {
  if (!value.includes('\n')) return Buffer.from(`${name}=${value}\n`);
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bytes.length));
  return Buffer.concat([Buffer.from(`${name}\n`), length, bytes, Buffer.from('\n')]);
}
