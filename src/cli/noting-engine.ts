/** An engine that asks before each pull, and notes what became of it; all its other abilities are those of the engine within. */

import type {PullNote, PullNotes} from '../actions/pull-notes.ts';
import type {Engine, PullRequest, Transfer, TransferResult} from '../engine/engine.ts';
import {ImgctlError} from '../errors.ts';
import {unverifiedPull} from './insecure-choices.ts';

export interface NotingOptions {
  /** Takes every pull. */
  bootNotes: PullNotes;
  /** Takes those that put an image in place. */
  lastNotes: PullNotes;
  /** Rejects for a pull that may not be done so. */
  check(request: PullRequest): Promise<void>;
  now(): Date;
  warn(text: string): void;
}

export function notingEngine<Inner extends Engine>(engine: Inner, options: NotingOptions): Inner {
  const pull = async (request: PullRequest): Promise<Transfer> => {
    let transfer: Transfer;
    try {
      await options.check(request);
      if (request.verify === 'no') options.warn(unverifiedPull(request.url));
      transfer = await engine.pull(request);
    } catch (error) {
      await note(request, {error: shortError(error)}, options);
      throw error;
    }
    const finished = noted(transfer.finished, request, options);
    // Whoever waits sees it; a caller that does not wait must not end the process with it.
    finished.catch(() => undefined);
    return overlay<Transfer, Transfer>(transfer, {finished});
  };
  return overlay<Inner, Engine>(engine, {pull});
}

async function noted(
  finished: Promise<TransferResult>,
  request: PullRequest,
  options: NotingOptions,
): Promise<TransferResult> {
  try {
    const result = await finished;
    await note(request, result.verification ? {verification: result.verification} : {}, options);
    return result;
  } catch (error) {
    await note(request, {error: shortError(error)}, options);
    throw error;
  }
}

/** A pull that keeps only the download copy puts no image in place, and is not noted. */
async function note(
  request: PullRequest,
  outcome: Pick<PullNote, 'verification' | 'error'>,
  options: NotingOptions,
): Promise<void> {
  const {url, store, localName} = request;
  if (localName === undefined) return;
  const {imageClass} = store;
  const endedAt = options.now().toISOString();
  const state = outcome.error ? 'failed' : 'pulled';
  const places = outcome.error ? [options.bootNotes] : [options.bootNotes, options.lastNotes];
  for (const notes of places) {
    try {
      await notes.write({url, imageClass, localName, endedAt, outcome: state, ...outcome});
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      options.warn(`cannot note the pull of "${localName}", ignored: ${why}`);
    }
  }
}

function shortError(error: unknown): {code: string; message: string} {
  if (error instanceof ImgctlError) return {code: error.publicCode, message: error.message};
  return {code: 'InternalError', message: error instanceof Error ? error.message : String(error)};
}

/** The object with some members replaced; the others, private state included, stay its own. */
function overlay<T extends Base, Base extends object>(inner: T, members: Partial<Base>): T {
  return new Proxy(inner, {
    get(target, key) {
      if (Object.hasOwn(members, key)) return Reflect.get(members, key);
      const value = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
