import {ImgctlError} from '../errors.ts';
import {maskUrl} from './mask-url.ts';
import type {RawAnswer} from './send.ts';

/** The most redirects one download follows, unless told otherwise. */
export const defaultMaxRedirects = 5;

const redirectStatuses = new Set([301, 302, 303, 307, 308]);

/** Where an answer sends us, or undefined when it is no redirect. Refuses to leave https and to go round for ever. */
export function redirectTarget(
  answer: Pick<RawAnswer, 'status' | 'headers'>,
  url: string,
  {hops, maxRedirects}: {hops: number; maxRedirects: number},
): string | undefined {
  const {location} = answer.headers;
  if (!redirectStatuses.has(answer.status) || location === undefined) return undefined;
  const shown = maskUrl(url);
  if (hops >= maxRedirects) {
    throw new ImgctlError('ClientError', `${shown}: more than ${maxRedirects} redirects`);
  }
  if (!URL.canParse(location, url)) {
    throw new ImgctlError('ClientError', `${shown}: redirect to an invalid URL`);
  }
  const target = new URL(location, url);
  const isWeb = ['http:', 'https:'].includes(target.protocol);
  if (!isWeb || (target.protocol === 'http:' && !url.startsWith('http:'))) {
    const reason = isWeb ? 'it leaves https' : 'it is no http or https URL';
    throw new ImgctlError(
      'ClientError',
      `${shown}: redirect to "${maskUrl(target.href)}" refused: ${reason}`,
    );
  }
  return target.href;
}
