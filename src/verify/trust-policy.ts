/**
 * What the operator asks of files from certain places: at least a checksum, or a signature by a key of a certain keyring
 * (schemas/config.schema.json). Pure; whoever fetches asks here first.
 */

import {ImgctlError} from '../errors.ts';

export type RequiredLevel = 'checksum' | 'signature';

export interface TrustRule {
  /** Holds for this URL and all below it. */
  url: string;
  require: RequiredLevel;
  /** The only keyring whose keys count there. */
  keyring?: string;
}

const strengths = {none: 0, checksum: 1, signature: 2} as const;

/** The rule with the longest path that the URL lies below; undefined where nothing is asked. */
export function findTrustRule(rules: readonly TrustRule[], url: string): TrustRule | undefined {
  const wanted = placeOf(url);
  let found: {rule: TrustRule; length: number} | undefined;
  for (const rule of rules) {
    const place = placeOf(rule.url);
    if (!place) throw new ImgctlError('ConfigError', `"${rule.url}" of a trust rule is not a URL`);
    if (place.host !== wanted?.host || !isBelow(place.path, wanted.path)) continue;
    if (!found || place.path.length > found.length) found = {rule, length: place.path.length};
  }
  return found?.rule;
}

/** Fails with `VerificationRequired` when what is offered proves less than the rule asks for. */
export function requireLevel(
  rule: TrustRule | undefined,
  offered: keyof typeof strengths,
  subject: string,
): void {
  if (!rule || strengths[offered] >= strengths[rule.require]) return;
  const has = {none: 'nothing', checksum: 'a checksum only', signature: 'a signature'}[offered];
  throw new ImgctlError(
    'VerificationRequired',
    `${subject} would be verified by ${has}, but the configuration asks for a ${rule.require} for "${rule.url}"`,
    {details: {url: rule.url, required: rule.require, offered}},
  );
}

/**
 * A host is the same whether it is asked with or without TLS, or else a rule could be walked around; paths are compared
 * as servers see them, without escapes and dots.
 */
function placeOf(text: string): {host: string; path: string} | undefined {
  if (!URL.canParse(text)) return undefined;
  const {protocol, host, pathname} = new URL(text);
  const path = decoded(pathname).replace(/\/+/g, '/').replace(/\/$/, '');
  return {host: protocol === 'file:' ? 'file:' : host.replace(/:(?:80|443)$/, ''), path};
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch (error) {
    if (error instanceof URIError) return path;
    throw error;
  }
}

function isBelow(directory: string, path: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}
