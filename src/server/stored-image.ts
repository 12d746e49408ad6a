import type {ImageManifest, ManifestFile} from '../manifest/manifest.ts';

/** A file of an image, with what only the server needs to know. */
export interface StoredFile extends ManifestFile {
  /** Base64, as the header has it; a file put there by hand may lack it. */
  contentMD5?: string;
}

/** An image's icon, as its kept manifest has it; clients only see that there is one. */
export interface StoredIcon {
  contentType: string;
  size: number;
  sha1: string;
  /** Base64. */
  contentMD5: string;
}

/** When the parts of an image were written. */
export interface StoredTimes {
  changedAt: Date;
  fileModifiedAt?: Date | undefined;
  iconModifiedAt?: Date | undefined;
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
  readonly channels: readonly string[];
  readonly isPublic: boolean;
  readonly isActivated: boolean;
  /** For sorting; undefined until the image is published. */
  readonly publishedAtMs: number | undefined;
  readonly file: StoredFile | undefined;
  readonly icon: StoredIcon | undefined;
  readonly changedAt: Date;
  readonly fileModifiedAt: Date;
  readonly iconModifiedAt: Date;
  readonly #text: string;

  /** Takes a kept manifest. One that was put there by hand says with its `state` whether it is activated. */
  constructor(kept: ImageManifest, {changedAt, fileModifiedAt, iconModifiedAt}: StoredTimes) {
    const isShown = kept.state === 'active' || kept.state === 'disabled';
    const isActivated = kept.activated === undefined ? isShown : String(kept.activated) === 'true';
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
    this.channels = kept.channels?.length ? kept.channels : noChannels;
    this.isPublic = String(kept.public) === 'true';
    this.isActivated = isActivated;
    this.publishedAtMs = Number.isNaN(publishedAtMs) ? undefined : publishedAtMs;
    this.file = kept.files?.[0];
    this.icon = isIcon(kept.icon) ? kept.icon : undefined;
    this.changedAt = changedAt;
    this.fileModifiedAt = fileModifiedAt ?? changedAt;
    this.iconModifiedAt = iconModifiedAt ?? changedAt;
    this.#text = JSON.stringify({...kept, activated: isActivated, disabled, state});
  }

  /** The manifest with `activated` and the computed `state`; a new object each time. */
  readManifest(): ImageManifest {
    return JSON.parse(this.#text);
  }
}

/** A manifest put there by hand has the flag of a client's view, and no icon behind it. */
function isIcon(value: unknown): value is StoredIcon {
  return typeof Object(value).sha1 === 'string';
}

/** spec/manifest.md §4. An update can say that an image is disabled without setting the flag. */
function stateOf(kept: ImageManifest, isActivated: boolean): string {
  const isPlaceholder = kept.state === 'creating' || kept.state === 'failed';
  if (!isActivated) return isPlaceholder ? String(kept.state) : 'unactivated';
  return String(kept.disabled) === 'true' || kept.state === 'disabled' ? 'disabled' : 'active';
}

/** One for all: most servers have no channels. */
const noChannels: readonly string[] = [];
