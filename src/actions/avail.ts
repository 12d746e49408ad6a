/** `avail`: what the sources offer (spec/imgadm.md §6). */

import type {ImgctlError} from '../errors.ts';
import {requireSources} from './find-offered.ts';
import {asOne, forgetOtherSources, gatherOffers, type OfferRow, type OffersContext} from './offers.ts';

export interface AvailResult {
  rows: OfferRow[];
  /** Why the answer is not complete; thrown by the command after the rows were printed. */
  failure: ImgctlError | undefined;
  /** How many sources were asked, and how many of them answered. */
  asked: number;
  answered: number;
}

export async function listAvailable(context: OffersContext): Promise<AvailResult> {
  requireSources(context);
  await forgetOtherSources(context);
  const {rows, failures} = await gatherOffers(context);
  const asked = context.sources.length;
  return {rows, failure: asOne(failures), asked, answered: asked - failures.length};
}
