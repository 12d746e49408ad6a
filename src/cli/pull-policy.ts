/** Whether a pull may be done as it is asked for: the trust rules of the configuration, whichever engine does it. */

import type {Engine, PullRequest} from '../engine/engine.ts';
import {ImgctlError} from '../errors.ts';
import {maskUrl} from '../http/mask-url.ts';
import {requireLevel, type TrustRule} from '../verify/trust-policy.ts';

/** Throws `VerificationRequired`. */
export function checkPull(
  {url, verify}: Pick<PullRequest, 'url' | 'verify'>,
  rule: TrustRule | undefined,
  engine: Engine['name'],
): void {
  const subject = `"${maskUrl(url)}"`;
  // Who knows the digest has a checksum that no mirror can change, but no word of who made the file.
  const level = typeof verify === 'object' ? 'checksum' : verify === 'no' ? 'none' : verify;
  requireLevel(rule, level, subject);
  if (rule?.keyring === undefined || engine === 'embedded') return;
  throw new ImgctlError(
    'VerificationRequired',
    `${subject} would be verified with the keyrings of the service, but the configuration names "${rule.keyring}"`,
    {hint: 'use --engine embedded', details: {url: rule.url, keyring: rule.keyring}},
  );
}
