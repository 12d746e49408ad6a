/** The chain of origins of an offered image, all in the same source (spec/imgadm.md §7.1 step 6). */

import {ImgctlError} from '../errors.ts';
import type {ImageManifest} from '../manifest/manifest.ts';
import type {VerifiedSource} from '../sources/source.ts';
import type {ActionContext} from './context.ts';
import {findInstalled} from './installed.ts';

/** The servers' own limit (spec/imgapi.md §4). */
const defaultMaxChainLength = 100;

/**
 * Base first, the image itself last. An origin that is installed is taken from its record when the source no longer
 * has it. A missing one is `OriginNotFoundInSource`; a cycle is `InvalidManifest`.
 */
export async function gatherAncestry(
  context: ActionContext,
  source: VerifiedSource,
  image: ImageManifest,
): Promise<ImageManifest[]> {
  const maxChainLength = context.limits.originImages ?? defaultMaxChainLength;
  const chain = [image];
  const seen = new Set([image.uuid]);
  let {origin} = image;
  while (origin) {
    if (seen.has(origin)) {
      throw new ImgctlError(
        'InvalidManifest',
        `image "${image.uuid}" has a cycle of origins: "${origin}" is its own origin`,
      );
    }
    if (chain.length >= maxChainLength) {
      throw new ImgctlError('LimitExceeded', `image "${image.uuid}" has more than ${maxChainLength} origins`);
    }
    const manifest: ImageManifest | undefined =
      (await findInstalled(context, origin))?.record.manifest ??
      (await source.findImage(origin, {signal: context.signal}));
    if (!manifest) {
      throw new ImgctlError(
        'OriginNotFoundInSource',
        `origin image "${origin}" does not exist in image source "${source.settings.url}"`,
      );
    }
    seen.add(origin);
    chain.unshift(manifest);
    origin = manifest.origin;
  }
  return chain;
}
