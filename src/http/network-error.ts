import {errnoOf, ImgctlError} from '../errors.ts';
import {maskUrl} from './mask-url.ts';
import type {ProxySettings} from './proxy-for.ts';
import {proxyText} from './proxy-for.ts';

/** Failures where not one byte of the request reached a server. */
const unsentCodes = new Set([
  'EAI_AGAIN',
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'ERR_PROXY_TUNNEL',
]);

/** The connection broke; whether the server has seen the request is unknown. */
const brokenCodes = new Set(['ECONNABORTED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT']);

/** The certificate checks of OpenSSL as Node names them; https://nodejs.org/api/tls.html, X509 errors. */
const certificateCode =
  /^(CERT_|CRL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_(GET|VERIFY|DECRYPT|DECODE)_|INVALID_(CA|PURPOSE)|ERR_TLS_CERT_|HOSTNAME_MISMATCH|PATH_LENGTH_EXCEEDED)/;

/** How far a request got that has no answer: surely not to the server, perhaps, or no use to ask. */
export type Reach = 'unsent' | 'unknown' | 'final';

export function reachOf(error: unknown): Reach {
  const event = error instanceof Error && 'event' in error ? error.event : undefined;
  if (event === 'lookup' || event === 'connect' || event === 'secureConnect') return 'unsent';
  if (event !== undefined) return 'final';
  const code = errnoOf(rootCause(error)) ?? '';
  if (unsentCodes.has(code)) return 'unsent';
  return brokenCodes.has(code) ? 'unknown' : 'final';
}

/** How connections are made, as far as it explains a failure. */
export interface NetworkSettings {
  proxy?: ProxySettings;
  caFile?: string;
}

/**
 * The `ClientError` of spec/imgadm.md §11: `URL: Error: connect ECONNREFUSED …`. `details.reason` is the part
 * after the URL, for callers that word the message themselves.
 */
export function networkError(
  error: unknown,
  url: string,
  {shownUrl = url, proxy, caFile}: NetworkSettings & {shownUrl?: string | undefined} = {},
): ImgctlError {
  const cause = rootCause(error);
  if (cause instanceof ImgctlError) return cause;
  const shown = maskUrl(shownUrl);
  const via = proxyText(url, proxy);
  if (certificateCode.test(errnoOf(cause) ?? '')) return certificateError(cause, {url, shown, via, caFile});
  if (errnoOf(cause) === 'HPE_HEADER_OVERFLOW') {
    return new ImgctlError('LimitExceeded', `${shown}: the headers of the answer are larger than the limit`, {
      cause,
    });
  }
  const reason = `Error: ${cause instanceof Error ? cause.message : String(cause)}${via ? `, ${via}` : ''}`;
  return new ImgctlError('ClientError', `${shown}: ${reason}`, {
    cause: error,
    retryable: true,
    details: {url: shown, reason, errno: errnoOf(cause), reach: reachOf(error)},
  });
}

function certificateError(
  cause: unknown,
  {
    url,
    shown,
    via,
    caFile,
  }: {url: string; shown: string; via: string | undefined; caFile: string | undefined},
): ImgctlError {
  const host = new URL(url).host;
  // Node adds advice about its own options after a semicolon.
  const [text] = (cause instanceof Error ? cause.message : String(cause)).split('; if the root CA');
  const trusted = `trusted are the authorities of the system and of Node${caFile ? `, and of "${caFile}"` : ''}`;
  const reason = `the TLS certificate of "${host}" was not accepted: ${text}; ${via ? `asked ${via}; ` : ''}${trusted}`;
  return new ImgctlError('ClientError', `${shown}: ${reason}`, {
    cause,
    hint: 'name the file of its authority in SSL_CERT_FILE; without any check: IMGADM_INSECURE=1, or "insecure" of the source',
    details: {url: shown, reason, errno: errnoOf(cause)},
  });
}

/** got wraps the system's error, and Node wraps the errors of several addresses of one name. */
function rootCause(error: unknown): unknown {
  let cause = error;
  while (cause instanceof Error && !(cause instanceof ImgctlError) && cause.cause instanceof Error)
    cause = cause.cause;
  return cause instanceof AggregateError ? (cause.errors.at(-1) ?? cause) : cause;
}
