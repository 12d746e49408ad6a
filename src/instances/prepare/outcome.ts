/** What a prepare script tells by its metadata (spec/imgadm.md §9.3), and the errors for it. */
import {ImgctlError} from '../../errors.ts';
import type {ProcessEnd, RunningProcess} from '../../sys/run.ts';
import type {MetadataStore} from '../metadata/store.ts';

export const stateKey = 'prepare-image:state';
export const errorKey = 'prepare-image:error';

export type WaitResult = 'reached' | 'ended' | 'timeout';

/** Waits for the first of: a state that will do, the end of the container, the time-out. An abort ends the container. */
export async function waitForState(
  store: MetadataStore,
  container: RunningProcess,
  {isEnough, timeoutMs}: {isEnough: (state: string | undefined) => boolean; timeoutMs: number},
): Promise<WaitResult> {
  const {promise, resolve} = Promise.withResolvers<WaitResult>();
  const check = (): void => {
    if (isEnough(store.get(stateKey))) resolve('reached');
  };
  const timer = setTimeout(() => resolve('timeout'), timeoutMs);
  store.on('put', check);
  try {
    check();
    return await Promise.race([promise, container.ended.then((): WaitResult => 'ended')]);
  } finally {
    clearTimeout(timer);
    store.off('put', check);
  }
}

export function didNotRun(name: string, end: ProcessEnd): ImgctlError {
  const complaint = end.stderrTail.split('\n').at(-1) ?? '';
  return new ImgctlError('PrepareImageDidNotRun', `prepare-image script did not run on VM ${name} boot`, {
    hint:
      complaint === ''
        ? `it must first run: mdata-put ${stateKey} running`
        : `the last it said: ${complaint}`,
    details: detailsOf(end),
  });
}

/** A detail of several lines stands below, as the old tool prints it. */
export function prepareFailed(name: string, detail: string, end?: ProcessEnd): ImgctlError {
  const text = detail.trimEnd();
  const isLong = text.includes('\n');
  const shown = isLong
    ? `:\n${['...', ...text.split('\n')].map((line) => `    ${line}`).join('\n')}`
    : text === ''
      ? ''
      : `: ${text}`;
  return new ImgctlError(
    'PrepareImageError',
    `prepare-image script error while preparing VM ${name}${shown}`,
    {
      ...(end ? {details: detailsOf(end)} : {}),
    },
  );
}

function detailsOf({exitCode, signal, stderrTail}: ProcessEnd): Record<string, unknown> {
  return {exitCode, signal, stderr: stderrTail};
}
