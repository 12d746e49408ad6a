/**
 * Places that offer images. A source of any type implements `ImageSource` and hands out raw answers;
 * `verified.ts` wraps every one of them, so that whoever gets a source from this room sees only validated
 * manifests and only files whose size and digests have been compared (style.md §2.3).
 */

import type {Readable} from 'node:stream';
import type {CachedFile, FetchProgress, FetchRetry} from '../downloads/cached-file.ts';
import type {ArrivalWatcher} from '../downloads/fetch-request.ts';
import type {ImageManifest} from '../manifest/manifest.ts';

/** Who requests to a source come from. Secrets themselves are never among the settings. */
export interface SourceAuth {
  user: string;
  /** For signatures: file of a private RSA key, `agent`, or the `SHA256:` fingerprint of a key the agent has. */
  key?: string;
  /** For Basic authentication: a file whose first line is the password. */
  passwordFile?: string;
}

/** One configured source, as kept in the configuration (spec/imgadm.md §5). */
export interface SourceSettings {
  /** The URL as the user typed it; shown and stored like this. */
  url: string;
  type: 'imgapi' | 'dsapi';
  /** True: no TLS certificate check. Absent: checked unless the environment says otherwise. */
  insecure?: boolean;
  /** Selects a channel on servers that have them; wins over one in the URL. */
  channel?: string;
  /** What the user calls it, unique among the sources: `NAME:image`. */
  name?: string;
  /** Absent: requests do not say who sends them. */
  auth?: SourceAuth;
}

export interface ListOptions {
  signal?: AbortSignal;
  /** Validator of an earlier listing; an unchanged listing is then answered with undefined. */
  validator?: string;
  /** Takes manifests as they come, some at a time, which the listing then lacks; void if the listing fails. */
  take?: (manifests: ImageManifest[]) => void;
}

export interface SourceListing {
  /** Those that were not taken while they came. */
  manifests: ImageManifest[];
  /** What a later conditional request sends to learn that nothing changed; undefined if not offered. */
  validator: string | undefined;
  /** Why the listing may not be complete; a sentence each. */
  warnings: string[];
}

/** A file as it comes from the source, unverified. The caller destroys `body`. */
export interface SourceFile {
  body: Readable;
  /** Where in the file the body begins: what was asked for, or 0 when the source ignored the range. */
  offsetBytes: number;
  /** Size of the whole file; undefined when the source does not say. */
  totalBytes: number | undefined;
  /** Strong validator (ETag) of the file, to resume only the same bytes; undefined if not offered. */
  validator: string | undefined;
}

export interface OpenFileOptions {
  offsetBytes?: number;
  /** Sent along with an offset; the source starts at 0 again when it no longer holds. */
  validator?: string;
  signal?: AbortSignal;
}

/** What a source type implements. Nothing here is verified. */
export interface ImageSource {
  readonly settings: SourceSettings;
  /** Resolves when the source answers as its type should; else rejects with `SourcePing`. */
  ping(options?: ListOptions): Promise<void>;
  /** Every active image the source offers, all pages; undefined when unchanged since `validator`. */
  listImages(options?: ListOptions): Promise<SourceListing | undefined>;
  /** The manifest of one image in any state, or undefined when the source does not have it. */
  findImage(uuid: string, options?: ListOptions): Promise<unknown>;
  /** Opens the image's file from an offset. */
  openFile(uuid: string, options?: OpenFileOptions): Promise<SourceFile>;
}

export interface FetchFileOptions {
  signal?: AbortSignal;
  onProgress?: (progress: FetchProgress) => void;
  /** Sees the file while it arrives. */
  watcher?: ArrivalWatcher;
  /** Each time a broken download is about to be continued. */
  onRetry?: (retry: FetchRetry) => void;
}

/** A source behind the verified doorway: the only form in which this room hands sources out. */
export interface VerifiedSource {
  readonly settings: SourceSettings;
  ping(options?: ListOptions): Promise<void>;
  /** Manifests that are not valid are left out, with a warning each. */
  listImages(options?: ListOptions): Promise<SourceListing | undefined>;
  /** Rejects with `InvalidManifest` when the answer is not a valid manifest of exactly this image. */
  findImage(uuid: string, options?: ListOptions): Promise<ImageManifest | undefined>;
  /** Refuses what `fetchFile` would refuse before it asks anybody. */
  checkFile(manifest: ImageManifest): void;
  /**
   * Downloads the image's file into the cache (or finds it there), compared with the size and digests of
   * the manifest to the last byte. The caller releases the file. `VerificationRequired` where more is asked of the source.
   */
  fetchFile(manifest: ImageManifest, options?: FetchFileOptions): Promise<CachedFile>;
}
