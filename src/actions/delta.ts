/** How a manifest says that its image is incremental (design.md §5): `origin`, and two tags of ours. */

import {ImgctlError} from '../errors.ts';
import {type ImageManifest, isUuid} from '../manifest/manifest.ts';

/** How the file is to be read; without it the image is whole. */
export const deltaTag = 'imgctl:delta';
/** Digest of the contents of the origin that it was made over. */
export const deltaOriginTag = 'imgctl:delta-origin';

export type DeltaKind = 'oci-layer' | 'qcow2';

export interface Delta {
  kind: DeltaKind;
  /** UUID. */
  origin: string;
  /** `sha256:HEX`; absent in manifests of others, whose origin is then known by its UUID alone. */
  originDigest?: string;
}

/** Undefined for a whole image. `NotSupported` for a kind not known here, `InvalidManifest` for marks that say nothing. */
export function deltaOf(manifest: ImageManifest): Delta | undefined {
  const {origin, tags, uuid} = manifest;
  const kind = tags?.[deltaTag];
  if (!origin || kind === undefined) return undefined;
  if (kind !== 'oci-layer' && kind !== 'qcow2') {
    throw new ImgctlError(
      'NotSupported',
      `image "${uuid}" is incremental (${String(kind)} over origin "${origin}"), which this version cannot install`,
    );
  }
  const originDigest = tags?.[deltaOriginTag];
  if (originDigest === undefined && isUuid(origin)) return {kind, origin};
  if (isUuid(origin) && typeof originDigest === 'string' && /^sha256:[0-9a-f]{64}$/.test(originDigest)) {
    return {kind, origin, originDigest};
  }
  throw new ImgctlError(
    'InvalidManifest',
    `manifest is invalid: image "${uuid}": its tag "${deltaOriginTag}" is no digest`,
  );
}
