/** `avail`: what the sources offer (spec/imgadm.md §6). */

import type {ImgctlError} from '../errors.ts';
import type {ActionContext} from './context.ts';
import {requireSources} from './find-offered.ts';
import {asOne, forgetOtherSources, gatherOffers, type OfferRow} from './offers.ts';

export interface AvailResult {
  rows: OfferRow[];
  /** Why the answer is not complete; thrown by the command after the rows were printed. */
  failure: ImgctlError | undefined;
}

export async function listAvailable(context: ActionContext): Promise<AvailResult> {
  requireSources(context);
  await forgetOtherSources(context);
  const {rows, failures} = await gatherOffers(context);
  return {rows, failure: asOne(failures)};
}
