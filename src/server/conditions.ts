/** Conditional requests (RFC 9110 §13). Tags come with quotes and without: this protocol's own have none. */
import type {IncomingHttpHeaders} from 'node:http';
import {refusals} from './refusals.ts';

/** What conditions are about. */
export interface Version {
  etag: string;
  modifiedAt: Date;
}

/** Throws `PreconditionFailed` when the client wants another version than the one there is. A tag decides over a date. */
export function checkPreconditions(headers: IncomingHttpHeaders, {etag, modifiedAt}: Version): void {
  const tags = headers['if-match'];
  if (tags !== undefined) {
    if (namesTag(tags, etag)) return;
    throw refusals.preconditionFailed(`if-match '${tags}' didn't match etag '${etag}'`);
  }
  const since = headers['if-unmodified-since'];
  if (since === undefined || !(toSeconds(modifiedAt.getTime()) > toSeconds(Date.parse(since)))) return;
  const date = modifiedAt.toUTCString();
  throw refusals.preconditionFailed(`object was modified at '${date}'; if-unmodified-since '${since}'`);
}

/** Whether the client already holds this version: then 304. A tag decides over a date. */
export function isNotModified(headers: IncomingHttpHeaders, {etag, modifiedAt}: Version): boolean {
  const tags = headers['if-none-match'];
  if (tags !== undefined) return namesTag(tags, etag);
  const since = headers['if-modified-since'];
  return since !== undefined && toSeconds(modifiedAt.getTime()) <= toSeconds(Date.parse(since));
}

/** Whether a `Range` may be served: the part the client holds is of this version. */
export function rangeHolds(headers: IncomingHttpHeaders, {etag, modifiedAt}: Version): boolean {
  const condition = headers['if-range'];
  if (typeof condition !== 'string') return true;
  return bareTag(condition) === etag || condition === modifiedAt.toUTCString();
}

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
