import {setTimeout as sleep} from 'node:timers/promises';

/** When a request is sent again (spec/imgapi.md §7): after 1, 2, 4 and 8 s with the defaults. */
export interface RetrySettings {
  /** Tries after the first. */
  count: number;
  /** Wait before the first retry; doubles each time. */
  baseDelayMs: number;
  /** The longest `Retry-After` that is waited for; a longer one ends the tries. */
  maxRetryAfterMs: number;
}

export const defaultRetries: RetrySettings = {count: 4, baseDelayMs: 1000, maxRetryAfterMs: 60_000};

/** Answers of a gateway or an overloaded server that may differ a moment later; 429 is RFC 6585, section 4. */
export function isPassingStatus(status: number): boolean {
  return status === 429 || status === 502 || status === 503 || status === 504;
}

/** How long to wait before retry number `attempt` (from 0); undefined when it is not to be tried again. */
export function retryDelayMs(
  settings: RetrySettings,
  attempt: number,
  retryAfter?: string,
): number | undefined {
  if (attempt >= settings.count) return undefined;
  const asked = retryAfter === undefined ? undefined : retryAfterMs(retryAfter);
  if (asked === undefined) return settings.baseDelayMs * 2 ** attempt;
  return asked > settings.maxRetryAfterMs ? undefined : asked;
}

/** Waits; rejects with the signal's reason when it is aborted meanwhile. */
export async function pause(delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(delayMs, undefined, signal === undefined ? {} : {signal});
  } catch (error) {
    throw signal?.reason ?? error;
  }
}

function retryAfterMs(text: string): number | undefined {
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}
