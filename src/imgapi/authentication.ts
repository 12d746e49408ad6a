/** How requests say who sends them. Secrets are inside and come out as headers only. */

import {ImgctlError} from '../errors.ts';
import {formatSignature, type SignatureAlgorithm} from './http-signature.ts';

export interface Authentication {
  /** Fresh headers for one try of one request: a signature is over the date, which servers compare with theirs. */
  headers(): Promise<Record<string, string>>;
}

/** A private key, wherever it is. */
export interface Signer {
  sign(text: string): Promise<{algorithm: SignatureAlgorithm; signature: Buffer}>;
}

/** spec/imgapi.md §1.3: the `Date` header is what is signed. */
export function signatureAuthentication(user: string, signer: Signer, now: () => Date): Authentication {
  checkUser(user, /^[^"\\\p{Cc}]+$/u);
  return {
    async headers() {
      const date = now().toUTCString();
      const {algorithm, signature} = await signer.sign(`date: ${date}`);
      const authorization = formatSignature({
        keyId: user,
        algorithm,
        signature: signature.toString('base64'),
      });
      return {date, authorization};
    },
  };
}

/** RFC 7617, in UTF-8. */
export function basicAuthentication(user: string, password: string): Authentication {
  checkUser(user, /^[^:\p{Cc}]+$/u);
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  return {headers: async () => ({authorization})};
}

function checkUser(user: string, pattern: RegExp): void {
  if (!pattern.test(user))
    throw new ImgctlError('InvalidArgument', `invalid user name: ${JSON.stringify(user)}`);
}
