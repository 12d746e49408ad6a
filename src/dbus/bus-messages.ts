/** What goes over a connection to a bus: calls out and in, answers, signals. */

export interface BusCall {
  destination: string;
  path: string;
  interface: string;
  member: string;
  signature?: string;
  /** One value per complete type of the signature; `h` is an index into `fds`, `t` and `x` are bigint. */
  body?: readonly unknown[];
  /** Stay the caller's, open until the call has been answered. */
  fds?: readonly number[];
  /** The service may ask the user for a password. */
  interactive?: boolean;
  /** Default 25 s; 0 waits for ever. */
  timeoutMs?: number;
}

/** Calls and signals that come in have plain values and variants of them only: the body of others is empty. */
export interface BusSignal {
  sender: string;
  path: string;
  interface: string;
  member: string;
  signature: string;
  body: readonly unknown[];
}

export interface IncomingCall {
  /** Unique name of the caller. */
  sender: string;
  path: string;
  /** Empty when the caller named none. */
  interface: string;
  member: string;
  signature: string;
  body: readonly unknown[];
  interactive: boolean;
  /** The descriptor that an `h` of the body stands for; the caller's to close. A second call for one index throws. */
  takeFd(index: number): number;
}

export interface Answer {
  signature: string;
  body: readonly unknown[];
}

/** A BusError it throws is the answer; anything else answers `Failed`. Undefined answers without values. */
export type CallHandler = (call: IncomingCall) => Promise<Answer | undefined>;

/** How variants are read: as their value, or with their signature (`{signature, value}`). */
export type VariantShape = 'plain' | 'wrap';

export interface ConnectionOptions {
  /** Default 25 s. */
  timeoutMs?: number;
  variants?: VariantShape;
  /** Calls that are longer are answered `LimitsExceeded`, longer replies fail, longer signals are not heard. */
  maxMessageBytes?: number;
}
