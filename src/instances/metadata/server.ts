/**
 * Answers a guest over a terminal, which the stock client insists on, and over a socket (spec/mdata.md §1). The slave of
 * the terminal stays open here as long as it is served, or the master would fail whenever no client has it open.
 */
import {chmodSync, chownSync, closeSync, constants, openSync, write} from 'node:fs';
import {createServer, type Server, type Socket} from 'node:net';
import path from 'node:path';
import {setTimeout as wait} from 'node:timers/promises';
import {ReadStream} from 'node:tty';
import {errnoOf} from '../../errors.ts';
import {openTerminal, type Terminal} from '../../sys/terminal.ts';
import {LineAnswerer} from './connection.ts';
import type {MetadataStore} from './store.ts';

const maxConnections = 16;
const retryMs = 10;

export interface MetadataServerOptions {
  store: MetadataStore;
  /** Gets the socket `metadata.sock`. */
  directory: string;
  /** Owner of terminal and socket: who is root in the guest. */
  ownerId: number;
}

export class MetadataServer implements AsyncDisposable {
  /** Path of the terminal that the guest is to have as /dev/ttyS1. */
  readonly terminalPath: string;
  readonly #terminal: Terminal;
  readonly #input: ReadStream;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isOpen = true;
  /** Answers go out one after the other. */
  #writing: Promise<void> = Promise.resolve();

  private constructor(terminal: Terminal, server: Server, store: MetadataStore) {
    this.#terminal = terminal;
    this.#server = server;
    this.terminalPath = terminal.slavePath;
    this.#input = new ReadStream(terminal.master);
    const lines = new LineAnswerer(store);
    this.#input.setEncoding('utf8').on('data', (text) => {
      const answer = lines.take(String(text));
      if (answer !== '') this.#writing = this.#writing.then(() => this.#write(Buffer.from(answer)));
    });
    this.#input.on('error', () => this.#hangUp());
    server.maxConnections = maxConnections;
    server.on('connection', (socket) => this.#serve(socket, store));
  }

  static async start({store, directory, ownerId}: MetadataServerOptions): Promise<MetadataServer> {
    const terminal = openTerminal();
    const server = createServer();
    try {
      chownSync(terminal.slavePath, ownerId, ownerId);
      chmodSync(terminal.slavePath, 0o600);
      await listen(server, directory, ownerId);
      return new MetadataServer(terminal, server, store);
    } catch (error) {
      server.close();
      closeSync(terminal.slave);
      closeSync(terminal.master);
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOpen = false;
    for (const socket of this.#sockets) socket.destroy();
    const closed = Promise.withResolvers<void>();
    this.#server.close(() => closed.resolve());
    await Promise.all([closed.promise, this.#writing]);
    if (!this.#input.closed) {
      const ended = Promise.withResolvers<void>();
      this.#input.once('close', () => ended.resolve());
      this.#input.destroy();
      await ended.promise;
    }
    closeSync(this.#terminal.slave);
  }

  #serve(socket: Socket, store: MetadataStore): void {
    const lines = new LineAnswerer(store);
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy()); // that client is gone
    socket.setEncoding('utf8').on('data', (text) => {
      const isTaken = socket.write(lines.take(String(text)));
      if (isTaken) return;
      socket.pause();
      socket.once('drain', () => socket.resume());
    });
  }

  /** The terminal is gone, so that nobody can ask or hear any more. */
  #hangUp(): number {
    this.#isOpen = false;
    this.#input.destroy();
    return 0;
  }

  /** A client that does not read holds back only the terminal. */
  async #write(bytes: Buffer): Promise<void> {
    for (let done = 0; done < bytes.length && this.#isOpen; ) {
      const count = await writeSome(this.#terminal.master, bytes.subarray(done)).catch(() => this.#hangUp());
      if (count === 0) await wait(retryMs);
      done += count;
    }
  }
}

/** 0 where the terminal takes nothing now. */
function writeSome(fd: number, bytes: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    write(fd, bytes, (error, count) => {
      if (!error) resolve(count);
      else if (errnoOf(error) === 'EAGAIN') resolve(0);
      else reject(error);
    });
  });
}

/** By way of the directory's descriptor, because names of sockets have 107 bytes at most. */
async function listen(server: Server, directory: string, ownerId: number): Promise<void> {
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const listening = Promise.withResolvers<void>();
    server.once('error', listening.reject);
    server.listen(`/proc/self/fd/${fd}/metadata.sock`, () => listening.resolve());
    await listening.promise;
    const file = path.join(directory, 'metadata.sock');
    chownSync(file, ownerId, ownerId);
    chmodSync(file, 0o600);
  } finally {
    closeSync(fd);
  }
}
