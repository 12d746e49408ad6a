/**
 * Plain connections that can give the rest of a body straight into memory of its reader. Between a connection and the reader
 * of a body stand four streams and an HTTP parser, which see every 64 KiB: a gibibyte takes them 1.0 s, and 0.4 s when the
 * kernel copies it to where it is wanted.
 */
import {Agent, type ClientRequestArgs, type IncomingMessage} from 'node:http';
import type {NetConnectOpts, Socket} from 'node:net';
import type {Duplex} from 'node:stream';

/** Memory for bytes to come. */
export interface ByteSink {
  /** Where the next ones go; empty while there is no room. What was given stays good until it has been filled. */
  room(): Buffer;
  /** So many came there. False when there is no room for more. */
  filled(bytes: number): boolean;
  /** Resolves when there is room. Rejects when what came could not be put away, and nothing more will be. */
  whenReady(): Promise<void>;
}

/** Copies all of a chunk, waiting for room. Rejects as the sink does. */
export async function putAway(chunk: Buffer, sink: ByteSink): Promise<void> {
  for (let rest = chunk; rest.length > 0; ) {
    const count = rest.copy(sink.room());
    rest = rest.subarray(count);
    if (count === 0 || !sink.filled(count)) await sink.whenReady();
  }
}

/** As much as Node itself reads at once. */
const scratchBytes = 64 * 1024;

const receptions = new WeakMap<Duplex, Reception>();

/** As its parent; a connection through a proxy is none of those meant here. */
export class DirectAgent extends Agent {
  override createConnection(
    options: ClientRequestArgs,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    const reception = new Reception();
    const {onread} = reception;
    const socket = super.createConnection(
      {...options, onread} as NetConnectOpts & ClientRequestArgs,
      callback,
    );
    if (socket) reception.socket = socket as Socket;
    return socket;
  }
}

/** The receiving end of the connection that an answer comes on, where it is one of a `DirectAgent`. */
export function receptionOf(response: IncomingMessage): Reception | undefined {
  return receptions.get(response.socket);
}

export interface Diversion {
  sink: ByteSink;
  sizeBytes: number;
  /** Called after each reading, also when it was the last one. */
  onBytes: (bytes: number) => void;
  /** There is no room for what is still to come: `goOn` is to be called when there is. */
  onFull: () => void;
}

/** The receiving end of one connection: at first everything goes to the stream, as without it. */
export class Reception {
  socket: Socket | undefined;
  #scratch: Buffer | undefined;
  /** Nothing passes through the stream any more. */
  #isDiverted = false;
  /** What came while nobody could take it. */
  #held: Buffer[] = [];
  #diversion: Diversion | undefined;
  #restBytes = 0;
  #given: Buffer | undefined;

  /** For `net.connect`. */
  readonly onread = {
    buffer: (): Buffer => this.#room(),
    callback: (count: number, buffer: Uint8Array): boolean => this.#received(count, buffer),
  };

  /** From now on bytes are kept for `giveTo`; those before are still in the stream. */
  divert(): void {
    this.#isDiverted = true;
  }

  /** Gives the next bytes to a sink, and no more than those; the connection is of no use afterwards. */
  giveTo(diversion: Diversion): void {
    this.#diversion = diversion;
    this.#restBytes = diversion.sizeBytes;
    this.goOn();
  }

  /** Call it when there is room again. */
  goOn(): void {
    while (this.#restBytes > 0 && this.#held.length > 0) {
      const chunk = this.#held.shift() as Buffer;
      if (!this.#copy(chunk)) return;
    }
    if (this.#restBytes > 0) this.socket?.resume();
  }

  get restBytes(): number {
    return this.#restBytes;
  }

  #room(): Buffer {
    const room = this.#diversion?.sink.room();
    if (room && room.length > 0 && this.#restBytes > 0) {
      this.#given = room.subarray(0, this.#restBytes);
      return this.#given;
    }
    this.#given = undefined;
    this.#scratch ??= Buffer.allocUnsafeSlow(scratchBytes);
    return this.#scratch;
  }

  #received(count: number, buffer: Uint8Array): boolean {
    const {socket} = this;
    if (!socket) return false;
    if (!this.#isDiverted) {
      receptions.set(socket, this);
      return socket.push(Buffer.from(buffer.subarray(0, count)));
    }
    if (this.#diversion && buffer === this.#given) return this.#took(count);
    const copy = Buffer.from(buffer.subarray(0, count));
    if (!this.#diversion || this.#held.length > 0) {
      this.#held.push(copy);
      return false;
    }
    return this.#copy(copy);
  }

  /** What does not fit is kept; what is behind the end of the body is nothing. */
  #copy(bytes: Buffer): boolean {
    for (let rest = bytes.subarray(0, this.#restBytes); rest.length > 0; ) {
      const room = this.#diversion?.sink.room() ?? Buffer.alloc(0);
      const count = rest.copy(room);
      if (count === 0) {
        this.#held.unshift(rest);
        return false;
      }
      rest = rest.subarray(count);
      if (!this.#took(count) && rest.length > 0) {
        this.#held.unshift(rest);
        return false;
      }
    }
    return this.#restBytes > 0;
  }

  #took(count: number): boolean {
    const {sink, onBytes, onFull} = this.#diversion as Diversion;
    this.#restBytes -= count;
    const hasRoom = sink.filled(count);
    onBytes(count);
    if (!hasRoom && this.#restBytes > 0) onFull();
    return hasRoom && this.#restBytes > 0;
  }
}
