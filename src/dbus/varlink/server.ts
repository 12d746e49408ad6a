/** Listens for Varlink calls: on a socket the service manager opened, else on one of its own. */

import {chmodSync, mkdirSync, rmSync} from 'node:fs';
import {createServer, type Server, type Socket} from 'node:net';
import path from 'node:path';
import {peerOf} from '../../sys/peer.ts';
import type {IdleWatch} from '../service/idle-watch.ts';
import {VarlinkConnection, type VarlinkHandler} from './connection.ts';

/** sd_listen_fds(3). */
const firstPassedFd = 3;

/** Of one user, so that nobody takes all. */
const maxConnectionsPerUser = 256;

export interface VarlinkServerOptions {
  handler: VarlinkHandler;
  /** Open connections keep the service. */
  idle: IdleWatch;
  /** Who may connect to a socket of its own. */
  mode: number;
}

export class VarlinkServer {
  readonly #options: VarlinkServerOptions;
  readonly #server: Server;
  readonly #connections = new Map<VarlinkConnection, number>();
  #ownPath: string | undefined;

  constructor(options: VarlinkServerOptions) {
    this.#options = options;
    this.#server = createServer((socket) => void this.#serve(socket));
  }

  /** On the passed socket if there is one; a socket that lies at `file` is replaced otherwise. */
  async listen(file: string, isPassed: boolean): Promise<void> {
    const place = isPassed ? {fd: firstPassedFd} : {path: file};
    if (!isPassed) {
      mkdirSync(path.dirname(file), {recursive: true, mode: 0o755});
      rmSync(file, {force: true});
      this.#ownPath = file;
    }
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(place, () => resolve());
    });
    if (!isPassed) chmodSync(file, this.#options.mode);
  }

  /** Takes no more connections; those that are end with the answer to their last call. */
  close(): void {
    this.#server.close();
    for (const connection of this.#connections.keys()) connection.finish();
    if (this.#ownPath !== undefined) rmSync(this.#ownPath, {force: true});
  }

  async #serve(socket: Socket): Promise<void> {
    const end = this.#options.idle.begin();
    try {
      const peer = peerOf(socket);
      const others = [...this.#connections.values()].filter((uid) => uid === peer.uid);
      if (others.length >= maxConnectionsPerUser) return void socket.destroy();
      const connection = new VarlinkConnection(socket, peer, this.#options.handler);
      this.#connections.set(connection, peer.uid);
      await connection.run().finally(() => this.#connections.delete(connection));
    } catch {
      socket.destroy(); // it had gone before it could be asked who it was
    } finally {
      end();
    }
  }
}

/** Whether the service manager passed this process a socket. */
export function hasPassedSocket(env: Readonly<Record<string, string | undefined>>, pid: number): boolean {
  return env.LISTEN_PID === String(pid) && Number(env.LISTEN_FDS) > 0;
}
