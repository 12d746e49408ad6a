/** Tables and JSON in importctl's shape (spec/importctl.md §6, §7). */

import type {StoredImage, TransferSummary} from '../../engine/engine.ts';
import {escapeControls} from '../table.ts';

export interface LegacyColumn {
  title: string;
  right?: boolean;
}

/** One space between columns, the last not padded. */
export function drawLegacyTable(
  columns: readonly LegacyColumn[],
  rows: readonly (readonly string[])[],
  legend: boolean,
): string[] {
  const titles = columns.map((column) => column.title);
  const lines = legend ? [titles, ...rows] : rows;
  const widths = columns.map((_, index) =>
    Math.max(...lines.map((line) => [...(line[index] ?? '')].length), 0),
  );
  return lines.map((line) => {
    const cells = line.map((cell, index) => {
      const width = widths[index] ?? 0;
      if (columns[index]?.right) return cell.padStart(width);
      return index === line.length - 1 ? cell : cell.padEnd(width);
    });
    return cells.join(' ');
  });
}

const sizeUnits = ['B', 'K', 'M', 'G', 'T', 'P', 'E'];

/** Base 1024, one decimal when there is one: `4M`, `252.3K`; unknown is `-`. */
export function legacySize(bytes: number | undefined): string {
  if (bytes === undefined) return '-';
  let unit = 0;
  let scale = 1;
  while (bytes / scale >= 1024 && unit < sizeUnits.length - 1) {
    scale *= 1024;
    unit += 1;
  }
  const tenths = Math.floor((bytes / scale) * 10) % 10;
  const whole = Math.floor(bytes / scale);
  return `${whole}${unit > 0 && tenths > 0 ? `.${tenths}` : ''}${sizeUnits[unit]}`;
}

const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];

/** `Sat 2026-11-21 09:02:43 UTC` in the local zone; 0 is `-`. */
export function legacyTime(us: number): string {
  if (us === 0) return '-';
  const date = new Date(us / 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  const zone = new Intl.DateTimeFormat('en', {timeZoneName: 'short'})
    .formatToParts(date)
    .find((part) => part.type === 'timeZoneName');
  return `${days[date.getDay()]} ${day} ${time} ${zone?.value ?? 'UTC'}`;
}

export const transferColumns: readonly LegacyColumn[] = [
  {title: 'ID', right: true},
  {title: 'PROGRESS', right: true},
  {title: 'TYPE'},
  {title: 'CLASS'},
  {title: 'LOCAL'},
  {title: 'REMOTE'},
];

export function transferRow(transfer: TransferSummary): string[] {
  const progress = transfer.fraction === undefined ? '-' : `${Math.floor(transfer.fraction * 100)}%`;
  const {id, type, imageClass, localName, remote} = transfer;
  return [String(id), progress, type, imageClass, localName, remote].map(escapeControls);
}

/** Progress is an integer as in importctl, null while unknown. */
export function transferJson(transfer: TransferSummary): object {
  return {
    id: transfer.id,
    progress: transfer.fraction === undefined ? null : Math.floor(transfer.fraction * 100),
    type: transfer.type,
    class: transfer.imageClass,
    local: transfer.localName,
    remote: transfer.remote,
  };
}

export const imageColumns: readonly LegacyColumn[] = [
  {title: 'CLASS'},
  {title: 'NAME'},
  {title: 'TYPE'},
  {title: 'PATH'},
  {title: 'RO'},
  {title: 'CRTIME'},
  {title: 'MTIME'},
  {title: 'USAGE'},
  {title: 'LIMIT'},
];

export function imageRow(image: StoredImage): string[] {
  const times = [legacyTime(image.createdUs), legacyTime(image.modifiedUs)];
  const sizes = [legacySize(image.usageBytes), legacySize(image.limitBytes)];
  return [
    image.imageClass,
    image.name,
    image.type,
    image.path,
    image.readOnly ? 'ro' : 'rw',
    ...times,
    ...sizes,
  ].map(escapeControls);
}

/** What importctl has, then members of ours, which are there when they are known. */
export function imageJson(image: StoredImage): object {
  const {exclusiveBytes, verification} = image;
  return {
    class: image.imageClass,
    name: image.name,
    type: image.type,
    path: image.path,
    ro: image.readOnly,
    crtime: image.createdUs,
    mtime: image.modifiedUs,
    usage: image.usageBytes ?? null,
    limit: image.limitBytes ?? null,
    ...(exclusiveBytes !== undefined && {usage_exclusive: exclusiveBytes}),
    ...(verification && {verification: verification.level, sha256: verification.sha256}),
    ...(verification?.keyFingerprint !== undefined && {key: verification.keyFingerprint}),
  };
}

/** systemd's pretty form: tabs, a blank before the colon. */
export function legacyJson(rows: readonly object[], form: 'pretty' | 'short'): string {
  if (form === 'short') return JSON.stringify(rows);
  const objects = rows.map((row) => {
    const fields = Object.entries(row).map(([key, value]) => `\t\t"${key}" : ${JSON.stringify(value)}`);
    return `\t{\n${fields.join(',\n')}\n\t}`;
  });
  return `[\n${objects.join(',\n')}\n]`;
}
