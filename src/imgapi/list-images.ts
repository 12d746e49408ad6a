/** ListImages (spec/imgapi.md §3.2): all pages, each read while it arrives; what is held of it is up to the caller. */

import {createHash} from 'node:crypto';
import {ImgctlError} from '../errors.ts';
import type {StreamAnswer} from '../http/http-client.ts';
import {decodeBody, decodedPieces, readBody} from '../http/read-body.ts';
import type {ImageManifest} from '../manifest/manifest.ts';
import {checkStatedMd5, notJson, successJson} from './answer.ts';
import type {ImageListing, ListCallOptions, UnchangedListing} from './client-types.ts';
import {ElementScanner, NotAnArray} from './json-elements.ts';
import type {ImgapiLimits} from './limits.ts';
import {bringsNothing, type Page, pageSize, parseValidator, readPages, validatorFor} from './list-pages.ts';

export type ListAnswer = Omit<StreamAnswer, 'url'>;

export interface ListParts {
  /** Asks for a page; the answer is read or destroyed here. */
  open(page: Record<string, string>, headers: Record<string, string>): Promise<ListAnswer>;
  limits: Pick<ImgapiLimits, 'listingBytes' | 'images'>;
  /** Stands in front of messages. */
  subject: string;
}

export async function listAllImages(
  parts: ListParts,
  {validator, take}: ListCallOptions,
): Promise<ImageListing | UnchangedListing> {
  const {limits, subject} = parts;
  const budget = {bytes: limits.listingBytes, subject};
  const fetchPage = async (marker: string): Promise<Page> =>
    entriesOf(await parts.open({limit: String(pageSize), marker}, {}), budget);
  const {etag: known, cutAfter} = parseValidator(validator);
  let first = await parts.open({}, known === undefined ? {} : {'if-none-match': known});
  if (first.status === 304 && validator !== undefined) {
    first.body.destroy();
    if (cutAfter === undefined || (await bringsNothing(await fetchPage(cutAfter), cutAfter)))
      return {isUnchanged: true, validator};
    budget.bytes = limits.listingBytes;
    first = await parts.open({}, {});
  }
  const manifests: ImageManifest[] = [];
  const keep = (some: ImageManifest[]): void => {
    for (const manifest of some) manifests.push(manifest);
  };
  const pages = await readPages(entriesOf(first, budget), {
    ...{fetchPage, maxImages: limits.images},
    take: take ?? keep,
  });
  const next = validatorFor(first.headers.etag, pages);
  return {isUnchanged: false, manifests, warnings: pages.warnings, validator: next};
}

/** The budget becomes less by what was read. A body that is left before its end is destroyed. */
async function* entriesOf(
  answer: ListAnswer,
  budget: {bytes: number; subject: string},
): AsyncGenerator<unknown[]> {
  if (answer.status < 200 || answer.status > 299) throw await refusalIn(answer, budget);
  const {subject} = budget;
  const isStated = typeof answer.headers['content-md5'] === 'string';
  const digest = createHash('md5');
  const encoding = answer.headers['content-encoding'];
  const onEncoded = (piece: Buffer): unknown => isStated && digest.update(piece);
  const scanner = new ElementScanner();
  let fault: NotAnArray | undefined;
  let readBytes = 0;
  try {
    for await (const piece of decodedPieces(answer.body, encoding, {
      bytes: budget.bytes,
      subject,
      onEncoded,
    })) {
      readBytes += piece.length;
      // A broken body may be told by its digest, which is known at its end.
      if (fault) continue;
      const entries = withFault(() => scanner.push(piece));
      if (entries instanceof NotAnArray) fault = entries;
      else if (entries.length > 0) yield entries;
    }
  } finally {
    answer.body.destroy();
    budget.bytes -= readBytes;
  }
  if (isStated) checkStatedMd5(answer, digest.digest('base64'), subject);
  const end = fault ?? withFault(() => scanner.finish());
  if (!(end instanceof NotAnArray)) return;
  if (!end.isJson) throw notJson(answer.status, subject);
  throw new ImgctlError('InternalError', `${subject}: the answer is not a list of images`);
}

function withFault<T>(work: () => T): T | NotAnArray {
  try {
    return work();
  } catch (error) {
    if (error instanceof NotAnArray) return error;
    throw error;
  }
}

/** What the server says instead of a list. */
async function refusalIn(answer: ListAnswer, budget: {bytes: number; subject: string}): Promise<unknown> {
  const {status, headers} = answer;
  const encodedBody = await readBody(answer.body, budget.bytes, budget.subject);
  const body = await decodeBody(encodedBody, headers['content-encoding'], budget);
  try {
    return successJson({status, headers, body, encodedBody}, budget.subject);
  } catch (error) {
    return error;
  }
}
