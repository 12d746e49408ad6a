import {ImgctlError} from '../errors.ts';
import {maskUrl} from '../http/mask-url.ts';
import {type Answer, parseJson} from './answer.ts';

const maxShownLength = 1024;

/** Why an answer to a ping is not that of an IMGAPI server; undefined when it is (spec/imgadm.md §5). */
export function pingProblem(answer: Pick<Answer, 'status' | 'body'>): string | undefined {
  const json = parseJson(answer.body);
  const status = `statusCode ${answer.status}`;
  if (json === undefined) return `${status}, response not JSON:\n${indent(answer.body.toString('utf8'))}`;
  if (answer.status === 200 && Object(json).imgapi === true) return undefined;
  return `${status}, response not from an IMGAPI server:\n${indent(JSON.stringify(json))}`;
}

/** The `SourcePing` error of spec/imgadm.md §5; `url` is the source's as the user wrote it. */
export function pingError(source: {type: string; url: string}, detail: string, cause?: unknown): ImgctlError {
  const message = `unexpected ping error with "${source.type}" image source "${maskUrl(source.url)}": ${detail}`;
  const {retryable = false, hint = undefined} = cause instanceof ImgctlError ? cause : {};
  return new ImgctlError('SourcePing', message, {cause, retryable, ...(hint !== undefined && {hint})});
}

function indent(body: string): string {
  const cut = body.length > maxShownLength ? `${body.slice(0, maxShownLength)}...` : body;
  return cut
    .split('\n')
    .map((line) => `    ${line}`)
    .join('\n');
}
