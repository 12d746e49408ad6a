/**
 * The service's end of a Varlink connection (varlink.org, "Method Call"): JSON objects that end with a NUL. Calls of
 * one connection are answered one after the other; a message that is none ends the connection.
 */

import type {Socket} from 'node:net';
import type {Peer} from '../../sys/peer.ts';

export type Parameters = Readonly<Record<string, unknown>>;

/** What a call is answered with instead of a reply. */
export class VarlinkError extends Error {
  readonly errorName: string;
  readonly parameters: Parameters | undefined;

  constructor(errorName: string, parameters?: Parameters) {
    super(errorName);
    this.name = 'VarlinkError';
    this.errorName = errorName;
    this.parameters = parameters;
  }
}

export interface VarlinkCall {
  method: string;
  parameters: Parameters;
  /** The caller takes several replies. */
  more: boolean;
  peer: Peer;
  /** Sends a reply that is not the last; only with `more`. */
  reply(parameters: Parameters): void;
  /** Aborted when the caller has gone. */
  gone: AbortSignal;
}

/** Resolves with the last reply; throws a VarlinkError. */
export type VarlinkHandler = (call: VarlinkCall) => Parameters | Promise<Parameters>;

interface CallMessage {
  method: string;
  parameters: Parameters;
  more: boolean;
  oneway: boolean;
}

const maxMessageBytes = 1024 * 1024;
/** A caller that does not read is cut off. */
const maxWaitingBytes = 4 * 1024 * 1024;

/** Calls that wait for their turn; no more are read meanwhile. */
const maxWaitingCalls = 64;

export class VarlinkConnection {
  readonly #socket: Socket;
  readonly #peer: Peer;
  readonly #handler: VarlinkHandler;
  readonly #gone = new AbortController();
  #waiting = Buffer.alloc(0);
  #answering = 0;
  #isFinishing = false;

  constructor(socket: Socket, peer: Peer, handler: VarlinkHandler) {
    this.#socket = socket;
    this.#peer = peer;
    this.#handler = handler;
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#gone.abort());
  }

  /** Resolves when the connection has ended. */
  async run(): Promise<void> {
    let last: Promise<void> = Promise.resolve();
    this.#socket.on('data', (chunk: Buffer) => {
      for (const message of this.#messages(chunk)) {
        this.#answering += 1;
        last = last.then(() => this.#answer(message)).then(() => this.#answered());
      }
      if (this.#answering > maxWaitingCalls) this.#socket.pause();
    });
    await new Promise<void>((resolve) => this.#socket.once('close', () => resolve()));
    await last;
  }

  /** Ends the connection when the calls that came have been answered. */
  finish(): void {
    this.#isFinishing = true;
    if (this.#answering === 0) this.#socket.destroy();
  }

  #answered(): void {
    this.#answering -= 1;
    if (this.#answering === 0) this.#socket.resume();
    if (this.#isFinishing && this.#answering === 0) this.#socket.end(() => this.#socket.destroy());
  }

  #messages(chunk: Buffer): CallMessage[] {
    const found: CallMessage[] = [];
    let bytes = Buffer.concat([this.#waiting, chunk]);
    for (let end = bytes.indexOf(0); end >= 0; end = bytes.indexOf(0)) {
      const message = parseCall(bytes.subarray(0, end));
      if (!message) {
        this.#socket.destroy();
        return [];
      }
      found.push(message);
      bytes = bytes.subarray(end + 1);
    }
    this.#waiting = bytes;
    if (bytes.length > maxMessageBytes) this.#socket.destroy();
    return found;
  }

  async #answer({method, parameters, more, oneway}: CallMessage): Promise<void> {
    if (this.#gone.signal.aborted) return;
    const send = (message: object) => oneway || this.#send(message);
    const reply = (values: Parameters) => void (more && send({parameters: values, continues: true}));
    const call = {method, parameters, more, peer: this.#peer, reply, gone: this.#gone.signal};
    try {
      const values = await this.#handler(call);
      send(Object.keys(values).length > 0 ? {parameters: values} : {});
    } catch (error) {
      const failure = error instanceof VarlinkError ? error : new VarlinkError('io.systemd.System');
      send({error: failure.errorName, ...(failure.parameters && {parameters: failure.parameters})});
    }
  }

  #send(message: object): void {
    if (this.#socket.destroyed) return;
    this.#socket.write(`${JSON.stringify(message)}\0`);
    if (this.#socket.writableLength > maxWaitingBytes) this.#socket.destroy();
  }
}

function parseCall(bytes: Buffer): CallMessage | undefined {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString());
  } catch {
    return undefined; // the caller learns it by the end of the connection
  }
  if (!isObject(value) || typeof value.method !== 'string') return undefined;
  const {method, parameters = {}, more = false, oneway = false} = value;
  if (!isObject(parameters)) return undefined;
  return {method, parameters, more: more === true, oneway: oneway === true};
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
