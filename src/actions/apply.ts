/**
 * `apply`: what the units of the import generator do, now. Wishes are independent of each other: one that fails
 * does not keep the next from coming.
 */

import type {Engine, ImageStore, PullRequest, Verification} from '../engine/engine.ts';
import {asTotals, ImgctlError} from '../errors.ts';
import type {ImageClass} from '../import1/image-class.ts';
import {type ImageWish, isImageWish, type PullWish, type Wish} from '../import1/pull-wish.ts';
import type {Reporter} from './context.ts';
import type {PullNotes} from './pull-notes.ts';

export interface ApplyContext {
  engine: Engine;
  /** Of all times; tells a refresh what was fetched last. */
  notes: PullNotes;
  storeFor(wish: Wish): ImageStore;
  /** Installs an image of the sources; resolves false if it was there. */
  importImage(wish: ImageWish): Promise<boolean>;
  report: Pick<Reporter, 'notice' | 'failure'>;
  signal: AbortSignal;
}

export interface AppliedWish {
  class: ImageClass;
  /** Local name; null while only the image itself can tell it. */
  name: string | null;
  /** The URL, or the image of the sources. */
  from: string;
  /** `wanted` is what a dry run says of an image that is not there, `refresh` of one that may have to be replaced. */
  outcome: 'wanted' | 'refresh' | 'present' | 'unchanged' | 'pulled' | 'imported' | 'failed';
  verification?: Verification;
  error?: {code: string; message: string};
}

export interface ApplyResult {
  wishes: AppliedWish[];
  /** Everything that failed, as one error; of several wishes each has been told by then. */
  failure: ImgctlError | undefined;
}

export async function applyWishes(
  context: ApplyContext,
  wishes: readonly Wish[],
  {isDryRun, isFailFast}: {isDryRun: boolean; isFailFast: boolean},
): Promise<ApplyResult> {
  const applied: AppliedWish[] = [];
  const errors: ImgctlError[] = [];
  for (const wish of wishes) {
    const facts = {
      class: wish.imageClass,
      name: wish.localName ?? null,
      from: isImageWish(wish) ? wish.image : wish.url,
    };
    try {
      applied.push({...facts, ...(await applyWish(context, wish, isDryRun))});
    } catch (error) {
      if (!(error instanceof ImgctlError) || context.signal.aborted) throw error;
      errors.push(error);
      if (wishes.length > 1) context.report.failure(error);
      applied.push({...facts, outcome: 'failed', error: {code: error.publicCode, message: error.message}});
      if (isFailFast) break;
    }
  }
  const isSomeDone = applied.some(({outcome}) => outcome !== 'failed');
  const totals = asTotals(errors, {of: wishes.length, what: 'images', isSomeDone});
  return {wishes: applied, failure: wishes.length > 1 ? totals : errors[0]};
}

type Outcome = Pick<AppliedWish, 'outcome' | 'verification'>;

async function applyWish(context: ApplyContext, wish: Wish, isDryRun: boolean): Promise<Outcome> {
  if (isImageWish(wish)) {
    if (isDryRun) return {outcome: (await isPresent(context, wish)) ? 'present' : 'wanted'};
    return {outcome: (await context.importImage(wish)) ? 'imported' : 'present'};
  }
  const present = await isPresent(context, wish);
  if (present && wish.skipIfPresent) return {outcome: 'present'};
  if (isDryRun) return {outcome: present && wish.refresh ? 'refresh' : 'wanted'};
  return present && wish.refresh ? refresh(context, wish) : pull(context, requestOf(context, wish));
}

async function isPresent(context: ApplyContext, wish: Wish): Promise<boolean> {
  const name = wish.localName ?? (isImageWish(wish) ? wish.image : undefined);
  const images = await context.engine.listImages(context.storeFor(wish));
  return images.some((image) => image.name === name);
}

/**
 * The download copy is brought up to date first. Only if its bytes are not those that were last put in place is the image
 * replaced, so that an image somebody works in is left alone.
 */
async function refresh(context: ApplyContext, wish: PullWish): Promise<Outcome> {
  const request = requestOf(context, wish);
  const {verification} = await pull(context, {...request, localName: undefined, keepDownload: true});
  const last = await context.notes.find(wish.imageClass, wish.localName ?? '');
  const lastSha256 = last?.url === wish.url ? last.verification?.sha256 : undefined;
  if (verification && lastSha256 === verification.sha256) return {outcome: 'unchanged', verification};
  return pull(context, {...request, force: true});
}

function requestOf(context: ApplyContext, wish: PullWish): PullRequest {
  return {
    format: wish.type,
    store: context.storeFor(wish),
    url: wish.url,
    localName: wish.localName,
    verify: wish.verify,
    readOnly: wish.readOnly,
    // Only a refresh needs the copy, to compare with.
    keepDownload: wish.refresh,
    signal: context.signal,
  };
}

async function pull(context: ApplyContext, request: PullRequest): Promise<Outcome> {
  const transfer = await context.engine.pull(request);
  const noticeLevel = 6;
  transfer.onLog((level, line) => {
    if (level <= noticeLevel) context.report.notice(line);
  });
  const {verification} = await transfer.finished;
  return verification ? {outcome: 'pulled', verification} : {outcome: 'pulled'};
}
