/** org.freedesktop.import1 and its neighbour machine1 as data (spec/import1-dbus.md): names, flags, fields. */

export const import1 = {
  service: 'org.freedesktop.import1',
  managerPath: '/org/freedesktop/import1',
  manager: 'org.freedesktop.import1.Manager',
  transfer: 'org.freedesktop.import1.Transfer',
  transferInProgress: 'org.freedesktop.import1.TransferInProgress',
  noSuchTransfer: 'org.freedesktop.import1.NoSuchTransfer',
} as const;

export const machine1 = {
  service: 'org.freedesktop.machine1',
  managerPath: '/org/freedesktop/machine1',
  manager: 'org.freedesktop.machine1.Manager',
  noSuchImage: 'org.freedesktop.machine1.NoSuchImage',
} as const;

/** Bits of the last argument of the Ex methods. */
export const transferFlags = {force: 1n, readOnly: 2n, keepDownload: 4n} as const;

/** What a transfer ends with in TransferRemoved. */
export type TransferOutcome = 'done' | 'canceled' | 'failed';

/** Sizes that are not known. */
export const unknownSize = 2n ** 64n - 1n;
