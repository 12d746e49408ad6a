/**
 * The signature scheme of IMGAPI (spec/imgapi.md §1.3), which both ends share: what is signed, and how it is written in
 * the `Authorization` header. Keys are RSA; the server finds them by the user's name, which is the `keyId`.
 */

/** Digests that servers accept with RSA keys. */
export type SignatureAlgorithm = 'rsa-sha1' | 'rsa-sha256';

export interface SignedRequest {
  method: string;
  /** Path and query, as sent. */
  target: string;
  httpVersion: string;
  /** Value of a header by its lower-case name. */
  header(name: string): string | undefined;
}

export interface SignatureParameters {
  keyId: string;
  algorithm: string;
  /** Base64. */
  signature: string;
  /** Absent: the date alone. */
  headers?: readonly string[];
}

/** The text under the signature, or which of the names the request does not have. */
export function signingString(
  names: readonly string[],
  request: SignedRequest,
): {text: string} | {missing: string} {
  const lines: string[] = [];
  for (const name of names) {
    if (name === 'request-line') {
      lines.push(`${request.method} ${request.target} HTTP/${request.httpVersion}`);
      continue;
    }
    const value = request.header(name);
    if (value === undefined || value === '') return {missing: name};
    lines.push(`${name}: ${value}`);
  }
  return {text: lines.join('\n')};
}

/** The value of the `Authorization` header, without blanks between the parameters: servers refuse those. */
export function formatSignature({keyId, algorithm, headers, signature}: SignatureParameters): string {
  const signed = headers === undefined ? '' : `headers="${headers.join(' ')}",`;
  return `Signature keyId="${keyId}",algorithm="${algorithm}",${signed}signature="${signature}"`;
}
