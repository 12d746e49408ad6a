/** `avail`: what the sources offer (spec/imgadm.md §6). */

import type {TextQuestion} from '../catalog/table-text.ts';
import {everything, type WantedRows} from '../catalog/wanted-rows.ts';
import type {ImgctlError} from '../errors.ts';
import {requireSources} from './find-offered.ts';
import {asOne, forgetOtherSources, gatherWanted, type ListedOfferRow, type OffersContext} from './offers.ts';

export interface AvailResult {
  rows: ListedOfferRow[];
  /** Instead of rows: the table of them, if one was asked for and could be drawn. */
  text: string | undefined;
  /** Why the answer is not complete; thrown by the command after the rows were printed. */
  failure: ImgctlError | undefined;
  /** How many sources were asked, and how many of them answered. */
  asked: number;
  answered: number;
}

/** What is not wanted of the offers may be left out. */
export async function listAvailable(
  context: OffersContext,
  wanted: WantedRows = everything,
  question?: TextQuestion | undefined,
): Promise<AvailResult> {
  requireSources(context);
  await forgetOtherSources(context);
  const {rows, text, failures} = await gatherWanted(context, wanted, question);
  const asked = context.sources.length;
  return {rows, text, failure: asOne(failures), asked, answered: asked - failures.length};
}
