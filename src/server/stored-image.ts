import type {ImageManifest, ManifestFile} from '../manifest/manifest.ts';

/** A file of an image, with what only the server needs to know. */
export interface StoredFile extends ManifestFile {
  /** Base64, as the header has it; a file put there by hand may lack it. */
  contentMD5?: string;
}

/**
 * An image of the index; never changed, only replaced. A server holds thousands of them: what requests search by is
 * at hand, everything else stays compact text until it is asked for.
 */
export class StoredImage {
  readonly uuid: string;
  readonly name: string;
  readonly version: string;
  readonly type: string;
  readonly os: string;
  readonly owner: string | undefined;
  readonly origin: string | undefined;
  readonly state: string;
  readonly isPublic: boolean;
  readonly isActivated: boolean;
  /** For sorting; undefined until the image is published. */
  readonly publishedAtMs: number | undefined;
  readonly file: StoredFile | undefined;
  readonly fileModifiedAt: Date;
  readonly #text: string;

  /** Takes a kept manifest. One that was put there by hand says with its `state` whether it is activated. */
  constructor(kept: ImageManifest, fileModifiedAt = new Date(0)) {
    const isActivated = kept.activated === true || ['active', 'disabled'].includes(kept.state ?? '');
    const disabled = String(kept.disabled) === 'true';
    const state = stateOf(kept, isActivated);
    const publishedAtMs = Date.parse(kept.published_at ?? '');
    this.uuid = kept.uuid;
    this.name = String(kept.name);
    this.version = String(kept.version);
    this.type = kept.type;
    this.os = kept.os;
    this.owner = kept.owner;
    this.origin = kept.origin;
    this.state = state;
    this.isPublic = String(kept.public) === 'true';
    this.isActivated = isActivated;
    this.publishedAtMs = Number.isNaN(publishedAtMs) ? undefined : publishedAtMs;
    this.file = kept.files?.[0];
    this.fileModifiedAt = fileModifiedAt;
    this.#text = JSON.stringify({...kept, activated: isActivated, disabled, state});
  }

  /** The manifest with `activated` and the computed `state`; a new object each time. */
  readManifest(): ImageManifest {
    return JSON.parse(this.#text);
  }
}

/** spec/manifest.md §4. */
function stateOf(kept: ImageManifest, isActivated: boolean): string {
  if (!isActivated) return 'unactivated';
  return String(kept.disabled) === 'true' ? 'disabled' : 'active';
}
