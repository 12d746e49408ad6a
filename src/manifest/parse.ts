import {ImgctlError} from '../errors.ts';
import type {ManifestSet} from './field-rules.ts';
import type {ImageManifest} from './manifest.ts';
import {isTooDeep} from './nesting.ts';
import {upgradeManifest} from './upgrade.ts';
import {type ManifestProblem, validateManifest} from './validate.ts';

/** Longest manifest text that is read, in bytes. Tags alone may take 100 KiB (spec/manifest.md §2). */
export const maxManifestBytes = 1024 * 1024;

/**
 * Reads a manifest of any version from foreign text; the answer is version 2 and not validated yet
 * (`checkManifest`). `subject` names where the text is from, for messages. Throws `InvalidManifest`, or
 * `LimitExceeded` when the text is too long.
 */
export function parseManifest(text: string | Uint8Array, subject: string): ImageManifest {
  const sizeBytes = typeof text === 'string' ? Buffer.byteLength(text) : text.byteLength;
  if (sizeBytes > maxManifestBytes) {
    throw new ImgctlError(
      'LimitExceeded',
      `manifest "${subject}" is too large: ${sizeBytes} bytes, at most ${maxManifestBytes} are read`,
    );
  }
  const manifest = parseJson(text, subject);
  if (typeof manifest !== 'object' || manifest === null || Array.isArray(manifest)) {
    throw unreadable(subject, 'not a JSON object');
  }
  if (isTooDeep(manifest)) throw unreadable(subject, 'nested too deeply');
  return upgradeManifest(manifest);
}

function parseJson(text: string | Uint8Array, subject: string): unknown {
  try {
    const decoded = typeof text === 'string' ? text : new TextDecoder('utf-8', {fatal: true}).decode(text);
    return JSON.parse(decoded);
  } catch (cause) {
    throw unreadable(subject, cause instanceof SyntaxError ? cause.message : 'not UTF-8 text', cause);
  }
}

function unreadable(subject: string, detail: string, cause?: unknown): ImgctlError {
  return new ImgctlError('InvalidManifest', `manifest is invalid: "${subject}": ${detail}`, {cause});
}

/** Throws `ManifestValidation` naming every problem the set finds; else returns. */
export function checkManifest(manifest: ImageManifest, set: ManifestSet): void {
  const problems = validateManifest(manifest, set);
  if (problems.length === 0) return;
  throw new ImgctlError('ManifestValidation', `invalid manifest: ${formatProblems(problems)}`, {
    details: {errors: problems},
  });
}

/** One line for all problems (spec/imgadm.md §7.3): `FIELD (MESSAGE)`, `FIELD` or `FIELD (CODE)`, by commas. */
export function formatProblems(problems: readonly ManifestProblem[]): string {
  return problems.map(formatProblem).join(', ');
}

function formatProblem({field, code, message}: ManifestProblem): string {
  if (message !== undefined) return `${field} (${message})`;
  return code === 'Invalid' ? field : `${field} (${code})`;
}
