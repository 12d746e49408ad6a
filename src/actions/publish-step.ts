/** One step of a publish: tried again while the reason passes, without doing twice what a lost answer had already done. */

import {setTimeout as sleep} from 'node:timers/promises';
import {ImgctlError} from '../errors.ts';
import type {ActionContext} from './context.ts';

export interface PublishStep<Result> {
  /** For the notice of a retry: `Importing the manifest`. */
  title: string;
  run(): Promise<Result>;
  /**
   * After a try whose answer was lost, a refusal can mean that it had worked. Resolves with the result when it had,
   * undefined when it had not. Absent for steps that may simply be repeated.
   */
  recall?: (refusal: ImgctlError) => Promise<Result | undefined>;
  /** The connection below repeats what was broken off itself. */
  isRepeatable?: boolean;
}

type StepContext = Pick<ActionContext, 'report' | 'signal'>;

const firstDelayMs = 1000;

export async function runStep<Result>(
  {report, signal}: StepContext,
  step: PublishStep<Result>,
  {retries = 4, retryDelayMs = firstDelayMs}: {retries?: number; retryDelayMs?: number},
): Promise<Result> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await step.run();
    } catch (error) {
      if (!(error instanceof ImgctlError) || error.code === 'Interrupted') throw error;
      const done = attempt > 0 ? await step.recall?.(error) : undefined;
      if (done !== undefined) return done;
      if (attempt >= retries || !isPassing(error, step.isRepeatable === true)) throw error;
      report.notice(`${step.title} failed, trying again: ${error.message}`);
      await sleep(retryDelayMs * 2 ** attempt, undefined, {signal}).catch(() => signal.throwIfAborted());
    }
  }
}

/** Whether the server may have done it although the answer did not come. */
export function isUncertain(error: unknown): boolean {
  return error instanceof ImgctlError && error.retryable && error.details?.reach !== 'unsent';
}

function isPassing(error: ImgctlError, isRepeatable: boolean): boolean {
  // What never reached the server was tried often enough below.
  return isUncertain(error) && !(isRepeatable && error.details?.reach !== undefined);
}
