import type {ImageManifest, ManifestFile} from '../manifest/manifest.ts';

/** A file of an image, with what only the server needs to know. */
export interface StoredFile extends ManifestFile {
  /** Base64, as the header has it; a file put there by hand may lack it. */
  contentMD5?: string;
}

/** An image of the index; never changed, only replaced. */
export interface StoredImage {
  /** With `activated` and the computed `state`. */
  readonly manifest: ImageManifest;
  readonly isActivated: boolean;
  /** For sorting; undefined until the image is published. */
  readonly publishedAtMs: number | undefined;
  readonly file: StoredFile | undefined;
  readonly fileModifiedAt: Date;
}

/** Reads a kept manifest. One that was put there by hand says with its `state` whether it is activated. */
export function storedImage(manifest: ImageManifest, fileModifiedAt = new Date(0)): StoredImage {
  const isActivated = manifest.activated === true || ['active', 'disabled'].includes(manifest.state ?? '');
  const isDisabled = String(manifest.disabled) === 'true';
  const publishedAtMs = Date.parse(manifest.published_at ?? '');
  return {
    manifest: {
      ...manifest,
      activated: isActivated,
      disabled: isDisabled,
      state: stateOf(isActivated, isDisabled),
    },
    isActivated,
    publishedAtMs: Number.isNaN(publishedAtMs) ? undefined : publishedAtMs,
    file: manifest.files?.[0],
    fileModifiedAt,
  };
}

/** spec/manifest.md §4. */
function stateOf(isActivated: boolean, isDisabled: boolean): string {
  if (!isActivated) return 'unactivated';
  return isDisabled ? 'disabled' : 'active';
}
