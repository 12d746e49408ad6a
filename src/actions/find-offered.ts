/** Finding one image in the sources, asked in order (spec/imgadm.md §6, §7.1). */

import {ImgctlError} from '../errors.ts';
import type {ImageManifest} from '../manifest/manifest.ts';
import type {VerifiedSource} from '../sources/source.ts';
import type {ActionContext} from './context.ts';
import {asOne, findListedOffer, type OffersContext} from './offers.ts';

export interface OfferedImage {
  manifest: ImageManifest;
  source: VerifiedSource;
}

type FindContext = OffersContext & Pick<ActionContext, 'sources'>;

/**
 * The first source that has the image and is accepted wins. A source that fails before is a warning when another
 * has the answer, and the error when nobody has it.
 */
export async function findOffered(
  context: FindContext,
  uuid: string,
  accept: (manifest: ImageManifest) => boolean,
): Promise<OfferedImage | undefined> {
  requireSources(context);
  const failures: ImgctlError[] = [];
  for (const source of context.sources) {
    try {
      const manifest = context.offline
        ? await findListedOffer(context, source, uuid)
        : await source.findImage(uuid, {signal: context.signal});
      if (manifest && accept(manifest)) {
        for (const failure of failures) context.report.warn(`ignored a failing source: ${failure.message}`);
        return {manifest, source};
      }
    } catch (error) {
      if (!(error instanceof ImgctlError) || error.code === 'Interrupted') throw error;
      failures.push(error);
    }
  }
  const failure = asOne(failures);
  if (failure) throw failure;
  return undefined;
}

export function requireSources(context: {readonly sources: readonly unknown[]; program: string}): void {
  if (context.sources.length > 0) return;
  throw new ImgctlError('NoSources', `${context.program} has no configured sources`, {
    hint: `add one: ${context.program} sources -a URL`,
  });
}
