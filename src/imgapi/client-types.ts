/** What calls of the IMGAPI client take and give. */

import type {Readable} from 'node:stream';
import type {ImageManifest, ManifestFile} from '../manifest/manifest.ts';
import type {Authentication} from './authentication.ts';
import type {ImgapiLimits} from './limits.ts';

export interface ImgapiClientOptions {
  /** Wins over a `?channel=` of the URL. */
  channel?: string;
  limits?: Partial<ImgapiLimits>;
  /** Absent: requests do not say who sends them. */
  authentication?: Authentication | undefined;
}

export interface CallOptions {
  signal?: AbortSignal;
}

export interface ImageListing {
  isUnchanged: false;
  /** Raw, each with a `uuid` text; no UUID twice. */
  manifests: ImageManifest[];
  /** For the next call; undefined when the server gave none or it would not cover all pages. */
  validator: string | undefined;
  /** Why the listing may not be complete; a sentence each. */
  warnings: string[];
}

/** Nothing changed since the listing the validator came from. */
export interface UnchangedListing {
  isUnchanged: true;
  validator: string;
}

export interface ListCallOptions extends CallOptions {
  /** The validator of an earlier listing by the same query. */
  validator?: string;
  /** Takes manifests as they come, some at a time, which the listing then lacks; void if the listing fails. */
  take?: (manifests: ImageManifest[]) => void;
}

export interface OpenFileCallOptions extends CallOptions {
  offsetBytes?: number;
  validator?: string;
}

export interface AddFileOptions extends CallOptions {
  /** Called once for each try. */
  body: () => Readable;
  sizeBytes: number;
  sha1: string;
  compression: ManifestFile['compression'];
  datasetGuid?: string;
}

/** A channel as its server describes it. */
export interface ServedChannel {
  name: string;
  description?: string;
  default?: boolean;
}

export interface ServedIcon {
  contentType: string;
  bytes: Buffer;
}
