/**
 * The verified doorway (style.md §2.3): whatever the type of the source, manifests that come through here are valid
 * and are of the image that was asked for, and files have the size and the digests of their manifest.
 */

import type {CachedFile} from '../downloads/cached-file.ts';
import type {DownloadCache} from '../downloads/download-cache.ts';
import {ImgctlError} from '../errors.ts';
import {maskUrl} from '../http/mask-url.ts';
import type {ImageManifest, ManifestFile} from '../manifest/manifest.ts';
import {isUuid} from '../manifest/manifest.ts';
import {checkManifest} from '../manifest/parse.ts';
import {upgradeManifest} from '../manifest/upgrade.ts';
import {requireLevel, type TrustRule} from '../verify/trust-policy.ts';
import type {FetchFileOptions, ImageSource, ListOptions, SourceListing, VerifiedSource} from './source.ts';

const sha1Pattern = /^[0-9a-f]{40}$/i;

export function verifiedSource(
  source: ImageSource,
  cache: DownloadCache,
  trust?: TrustRule | undefined,
): VerifiedSource {
  return new Verified(source, cache, trust);
}

class Verified implements VerifiedSource {
  readonly settings;
  /** The URL as messages and notes may hold it. */
  readonly #shownUrl: string;
  readonly #source: ImageSource;
  readonly #cache: DownloadCache;
  readonly #trust: TrustRule | undefined;

  constructor(source: ImageSource, cache: DownloadCache, trust: TrustRule | undefined) {
    this.settings = source.settings;
    this.#shownUrl = maskUrl(source.settings.url);
    this.#source = source;
    this.#cache = cache;
    this.#trust = trust;
  }

  ping(options?: ListOptions): Promise<void> {
    return this.#source.ping(options);
  }

  async listImages(options?: ListOptions): Promise<SourceListing | undefined> {
    const manifests: ImageManifest[] = [];
    const refused: string[] = [];
    const take = (raw: readonly unknown[]): void => {
      const valid = this.#validAmong(raw, refused);
      if (options?.take) options.take(valid);
      else for (const manifest of valid) manifests.push(manifest);
    };
    const listing = await this.#source.listImages({...options, take});
    if (!listing) return undefined;
    take(listing.manifests);
    return {manifests, validator: listing.validator, warnings: [...listing.warnings, ...refused]};
  }

  #validAmong(raw: readonly unknown[], refused: string[]): ImageManifest[] {
    return raw.flatMap((entry) => {
      try {
        return [checked(entry)];
      } catch (error) {
        const text = `image "${uuidText(entry)}" of source "${this.#shownUrl}" left out: ${messageOf(error)}`;
        refused.push(text);
        return [];
      }
    });
  }

  async findImage(uuid: string, options?: ListOptions): Promise<ImageManifest | undefined> {
    const raw = await this.#source.findImage(uuid, options);
    if (raw === undefined) return undefined;
    const manifest = this.#checked(raw, uuid);
    if (manifest.uuid === uuid) return manifest;
    throw new ImgctlError(
      'InvalidManifest',
      `source "${this.#shownUrl}" answered with the manifest of image "${manifest.uuid}" when asked for "${uuid}"`,
    );
  }

  #checked(raw: unknown, uuid: string): ImageManifest {
    try {
      return checked(raw);
    } catch (error) {
      throw new ImgctlError(
        'InvalidManifest',
        `source "${this.#shownUrl}" answered with an invalid manifest of image "${uuid}"`,
        {cause: error},
      );
    }
  }

  checkFile(manifest: ImageManifest): void {
    this.#usableFile(manifest);
  }

  #usableFile(manifest: ImageManifest): ManifestFile {
    // Sources of every type so far have digests in manifests that nobody signs.
    requireLevel(this.#trust, 'checksum', `image "${manifest.uuid}" of source "${this.#shownUrl}"`);
    const file = manifest.files?.[0];
    if (!file) {
      throw new ImgctlError(
        'DownloadError',
        `image ${manifest.uuid} has no file in source "${this.#shownUrl}"`,
      );
    }
    if (!sha1Pattern.test(String(file.sha1)) || !Number.isSafeInteger(file.size) || file.size <= 0) {
      throw new ImgctlError(
        'InvalidManifest',
        `manifest of image "${manifest.uuid}" has no usable sha1 and size for its file`,
      );
    }
    return file;
  }

  async fetchFile(manifest: ImageManifest, options: FetchFileOptions = {}): Promise<CachedFile> {
    const file = this.#usableFile(manifest);
    return this.#cache.fetch({
      subject: manifest.uuid,
      url: this.#shownUrl,
      expected: {sizeBytes: file.size, sha1: file.sha1.toLowerCase()},
      open: ({offsetBytes, validator}, signal) => {
        return this.#source.openFile(manifest.uuid, {
          offsetBytes,
          ...(validator !== undefined && {validator}),
          ...(signal && {signal}),
        });
      },
      ...options,
    });
  }
}

function checked(raw: unknown): ImageManifest {
  const manifest = upgradeManifest(raw);
  checkManifest(manifest, 'minimal');
  return manifest;
}

function uuidText(raw: unknown): string {
  const uuid = (raw as {uuid?: unknown} | null)?.uuid;
  return isUuid(uuid) ? uuid : '-';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
