/**
 * A stream over a Unix socket that carries descriptors beside its bytes (SCM_RIGHTS), which Node's own sockets drop.
 *
 * Descriptors that arrive are emitted as `fds` before the bytes they came with can be read. The stream owns each of them
 * until it is claimed, and closes those that never were when it ends, however it ends.
 */
import {closeSync} from 'node:fs';
import {constants as osConstants} from 'node:os';
import {Duplex} from 'node:stream';
import {checked, native, SystemError, type Watch} from './native.ts';

const POLLIN = 1;
const POLLOUT = 4;
const {EAGAIN, EINTR, EMSGSIZE} = osConstants.errno;
const readBytes = 64 * 1024;
/** A peer that sends descriptors which no message asks for is cut off. */
const maxUnclaimed = 1024;

type WriteCallback = (error?: Error | null) => void;

interface PendingWrite {
  bytes: Buffer;
  fds: readonly number[];
  done: WriteCallback;
}

export class DescriptorSocket extends Duplex {
  readonly #fd: number;
  readonly #watch: Watch;
  readonly #owned = new Set<number>();
  readonly #input = Buffer.allocUnsafeSlow(readBytes);
  /** Descriptors of buffers that the stream has queued. */
  readonly #attached = new Map<Buffer, readonly number[]>();
  #pending: PendingWrite | undefined;
  #filter: ((bytes: Buffer) => Buffer) | undefined;

  /** Takes over a connected socket. */
  constructor(fd: number) {
    super({allowHalfOpen: false, decodeStrings: true});
    this.#fd = fd;
    const watch = native().watchOpen(fd, (events) => this.#onReady(events));
    if (typeof watch === 'number') {
      closeSync(fd);
      throw new SystemError(-watch, 'poll');
    }
    this.#watch = watch;
  }

  /** Connects to a socket by path or, behind a NUL, abstract name. Throws a SystemError that names it. */
  static connect(address: string): DescriptorSocket {
    const subject = address.replace('\0', '@');
    return new DescriptorSocket(checked(native().connectUnix(Buffer.from(address)), 'connect', subject));
  }

  /** Writes bytes, the first of which carries the descriptors. They stay the caller's, open until the write is over. */
  writeWithFds(bytes: Buffer, fds: readonly number[], done?: (error?: Error | null) => void): boolean {
    this.#attached.set(bytes, fds);
    return this.write(bytes, done);
  }

  /** From now on, what arrives is read as the filter returns it. */
  filterInput(filter: (bytes: Buffer) => Buffer): void {
    this.#filter = filter;
  }

  /** A descriptor that arrived is the caller's from now on. */
  claim(fd: number): void {
    this.#owned.delete(fd);
  }

  /** Closes descriptors that arrived and are of no use. */
  closeFds(fds: readonly number[]): void {
    for (const fd of fds) if (this.#owned.delete(fd)) closeSync(fd);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: WriteCallback): void {
    const fds = this.#attached.get(chunk) ?? [];
    this.#attached.delete(chunk);
    this.#send({bytes: chunk, fds, done});
  }

  #send(pending: PendingWrite): void {
    while (pending.bytes.length > 0) {
      const sent = native().sendMessage(this.#fd, pending.bytes, pending.fds as number[]);
      if (sent === -EINTR) continue;
      if (sent === -EAGAIN) {
        this.#pending = pending;
        native().watchArm(this.#watch, POLLOUT);
        return;
      }
      if (sent < 0) {
        pending.done(new SystemError(-sent, 'sendmsg'));
        return;
      }
      pending = {...pending, bytes: pending.bytes.subarray(sent), fds: []};
    }
    pending.done();
  }

  override _read(): void {
    native().watchArm(this.#watch, POLLIN);
  }

  #onReady(events: number): void {
    if (this.destroyed) return;
    if (events & POLLOUT && this.#pending) {
      const pending = this.#pending;
      this.#pending = undefined;
      this.#send(pending);
    }
    if (events & POLLIN) this.#receive();
  }

  /** Reads until the stream has enough or nothing is there; each call takes one packet's descriptors at most. */
  #receive(): void {
    while (!this.destroyed) {
      const fds: number[] = [];
      const got = native().receiveMessage(this.#fd, this.#input, fds);
      for (const fd of fds) this.#owned.add(fd);
      if (got === -EINTR) continue;
      if (got === -EAGAIN) {
        this._read();
        return;
      }
      const lost = got === -EMSGSIZE || this.#owned.size > maxUnclaimed;
      if (lost || got < 0) {
        this.destroy(new SystemError(lost ? EMSGSIZE : -got, 'recvmsg'));
        return;
      }
      if (fds.length > 0) this.emit('fds', fds);
      if (!this.#pass(got)) return;
    }
  }

  /** False when the reader has enough for now. */
  #pass(got: number): boolean {
    if (got === 0) return this.push(null);
    const bytes = Buffer.from(this.#input.subarray(0, got));
    const filtered = this.#filter ? this.#filter(bytes) : bytes;
    return filtered.length === 0 || this.push(filtered);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    native().watchClose(this.#watch);
    closeSync(this.#fd);
    this.closeFds([...this.#owned]);
    const pending = this.#pending;
    this.#pending = undefined;
    this.#attached.clear();
    pending?.done(error ?? new SystemError(osConstants.errno.EPIPE, 'sendmsg'));
    callback(error);
  }
}
