/** Our bus service on a private bus, over a root of its own. */
import {type ChildProcess, spawn} from 'node:child_process';
import {readdirSync, readFileSync} from 'node:fs';
import path from 'node:path';
import {BusConnection} from '../../src/dbus/bus-connection.ts';
import type {BusSignal} from '../../src/dbus/bus-messages.ts';
import {removeTree} from '../../src/sys/remove-tree.ts';
import {type PrivateBus, startBus} from './bus.ts';

const name = 'org.freedesktop.import1';
const program = path.join(import.meta.dirname, '../../bin/imgctl-importd');

export class Importd {
  readonly bus: PrivateBus;
  readonly client: BusConnection;
  readonly process: ChildProcess;
  readonly root: string;
  /** Signals of the service, as they came. */
  readonly signals: BusSignal[] = [];
  readonly ended: Promise<number | null>;
  #stderr = '';

  private constructor(bus: PrivateBus, client: BusConnection) {
    this.bus = bus;
    this.client = client;
    this.root = path.join(bus.directory, 'root');
    this.process = spawn(program, [], {
      env: {...process.env, DBUS_SYSTEM_BUS_ADDRESS: bus.address, IMGCTL_ROOT: this.root},
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.process.stderr?.on('data', (chunk) => {
      this.#stderr += chunk;
    });
    this.ended = new Promise((resolve) => this.process.once('close', resolve));
  }

  /** Resolves when the service has its name. */
  static async start(): Promise<Importd> {
    const bus = await startBus();
    const client = await BusConnection.open(bus.address);
    let onOwned: () => void = () => undefined;
    const owned = new Promise<void>((resolve) => {
      onOwned = resolve;
    });
    await client.subscribe("type='signal',member='NameOwnerChanged'", (signal) => {
      if (signal.member === 'NameOwnerChanged' && signal.body[0] === name && signal.body[2] !== '') onOwned();
    });
    const service = new Importd(bus, client);
    await client.subscribe(`type='signal',sender='${name}'`, (signal) => {
      if (signal.interface.startsWith(name)) service.signals.push(signal);
    });
    await owned;
    return service;
  }

  get stderr(): string {
    return this.#stderr;
  }

  call(
    member: string,
    signature = '',
    body: unknown[] = [],
    fds: number[] = [],
  ): Promise<readonly unknown[]> {
    const path = '/org/freedesktop/import1';
    const call = {destination: name, path, interface: `${name}.Manager`, member, timeoutMs: 60_000};
    return this.client.call({...call, ...(signature !== '' && {signature, body}), fds});
  }

  /** Resolves with the result when the transfer has been removed. */
  async removed(id: unknown): Promise<unknown> {
    for (;;) {
      const found = this.signals.find(({member, body}) => member === 'TransferRemoved' && body[0] === id);
      if (found) return found.body[2];
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  openFiles(): number {
    return readdirSync(`/proc/${this.process.pid}/fd`).length;
  }

  /** Process ids of its transfers. */
  workers(): number[] {
    const {pid} = this.process;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return children.split(' ').filter(Boolean).map(Number);
  }

  async stop(): Promise<void> {
    this.process.kill();
    await this.ended;
    await this.client.close();
    await removeTree(this.root);
    await this.bus.stop();
  }
}
