import type {IncomingHttpHeaders} from 'node:http';
import {refusals} from './refusals.ts';

/** Throws `PreconditionFailed` when an `If-Match` names another version. */
export function checkMatch(headers: IncomingHttpHeaders, etag: string): void {
  const wanted = headers['if-match'];
  if (wanted === undefined || namesTag(wanted, etag)) return;
  throw refusals.preconditionFailed(`if-match '${wanted}' didn't match etag '${etag}'`);
}

/** Whether the client already holds this version: then 304. A tag decides over a date. */
export function isNotModified(headers: IncomingHttpHeaders, etag: string, modifiedAt?: Date): boolean {
  const tags = headers['if-none-match'];
  if (tags !== undefined) return namesTag(tags, etag);
  const since = headers['if-modified-since'];
  if (since === undefined || modifiedAt === undefined) return false;
  return toSeconds(modifiedAt.getTime()) <= toSeconds(Date.parse(since));
}

/** Whether a `Range` may be served: the part the client holds is of this version. */
export function rangeHolds(headers: IncomingHttpHeaders, etag: string, modifiedAt: Date): boolean {
  const condition = headers['if-range'];
  if (typeof condition !== 'string') return true;
  return bareTag(condition) === etag || condition === modifiedAt.toUTCString();
}

/** Tags come with quotes and without: this protocol's own have none. */
function namesTag(list: string, etag: string): boolean {
  return list.split(',').some((tag) => tag.trim() === '*' || bareTag(tag) === etag);
}

function bareTag(tag: string): string {
  return tag
    .trim()
    .replace(/^W\//, '')
    .replace(/^"(.*)"$/, '$1');
}

function toSeconds(timeMs: number): number {
  return Math.floor(timeMs / 1000);
}
