/** `manifest check` and `manifest upgrade` (spec/manifest.md §1, §3): looks at files, never at what is installed. */

import {ImgctlError} from '../errors.ts';
import type {ImageManifest} from '../manifest/manifest.ts';
import {maxManifestBytes, parseManifest} from '../manifest/parse.ts';
import {type ManifestProblem, type ManifestSet, validateManifest} from '../manifest/validate.ts';
import {readManifestFile} from './read-manifest-file.ts';

export interface CheckedManifest {
  file: string;
  valid: boolean;
  errors: ManifestProblem[];
}

/** One entry per file, in order. What cannot be read or is no manifest is invalid, with field `v` or the whole file. */
export async function checkManifestFiles(
  files: readonly string[],
  set: ManifestSet,
): Promise<CheckedManifest[]> {
  const results: CheckedManifest[] = [];
  for (const file of files) {
    const errors = await problemsOf(file, set);
    results.push({file, valid: errors.length === 0, errors});
  }
  return results;
}

async function problemsOf(file: string, set: ManifestSet): Promise<ManifestProblem[]> {
  const text = await readManifestFile(file, 'Usage', `manifest path does not exist: "${file}"`);
  if (Buffer.byteLength(text) > maxManifestBytes) {
    return [{field: '', code: 'Invalid', message: `manifest is larger than ${maxManifestBytes} bytes`}];
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return [{field: '', code: 'Invalid', message: `manifest is invalid: ${reason}`}];
  }
  return validateManifest(value, set);
}

/** The manifest in version 2; `InvalidManifest` when that is impossible. */
export async function upgradeManifestFile(file: string): Promise<ImageManifest> {
  const text = await readManifestFile(file, 'Usage', `manifest path does not exist: "${file}"`);
  const manifest = parseManifest(text, file);
  if (typeof manifest === 'object') return manifest;
  throw new ImgctlError('InvalidManifest', 'manifest is invalid: it is not an object');
}
