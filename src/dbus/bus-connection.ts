/**
 * A connection to a message bus: calls out, signals both ways, and calls in. dbus-native speaks the protocol over our
 * own socket, which carries descriptors; nobody else in the program sees that library.
 *
 * Invariants: messages are handled and sent in order. Every received descriptor has one owner, and is closed when the message it came with has been
 * handled and nobody took it. No call waits after the connection has ended.
 */

import {closeSync} from 'node:fs';
import {createConnection, type DBusConnection, type Message, messageType} from 'dbus-native';
import {ImgctlError} from '../errors.ts';
import {DescriptorSocket} from '../sys/descriptor-socket.ts';
import {parseBusAddress} from './bus-address.ts';
import {BusError, busErrorNames, busUnavailable, noReplyError, tooLongError} from './bus-error.ts';
import type {
  Answer,
  BusCall,
  BusSignal,
  CallHandler,
  ConnectionOptions,
  IncomingCall,
  VariantShape,
} from './bus-messages.ts';
import {isCut, MessageGate} from './message-gate.ts';
import {type RawBody, readPlainValues, signalOf} from './plain-values.ts';

const noReplyExpected = 0x1;
const interactiveAuthorization = 0x4;
/** What libdbus and sd-bus wait for a reply. */
const defaultTimeoutMs = 25_000;
const defaultMessageBytes = 16 * 2 ** 20; // a list of ten thousand images is shorter
const busName = 'org.freedesktop.DBus';

interface PendingCall {
  resolve(body: readonly unknown[]): void;
  reject(error: Error): void;
}

export class BusConnection {
  readonly #connection: DBusConnection;
  readonly #socket: DescriptorSocket;
  readonly #gate: MessageGate;
  readonly #variants: VariantShape;
  readonly #pending = new Map<number, PendingCall>();
  readonly #signalListeners = new Set<(signal: BusSignal) => void>();
  /** Why it ended, once it has. */
  #end: ImgctlError | undefined;
  #serial = 0;
  #handler: CallHandler | undefined;
  #uniqueName = '';
  /** Resolves when the connection has ended, with the reason unless it was closed here. */
  readonly closed: Promise<ImgctlError | undefined>;

  private constructor(socket: DescriptorSocket, address: string, options: ConnectionOptions) {
    const {variants = 'plain', maxMessageBytes = defaultMessageBytes} = options;
    this.#socket = socket;
    this.#gate = new MessageGate(maxMessageBytes);
    this.#variants = variants;
    this.#connection = createConnection({
      stream: socket,
      authMethods: ['EXTERNAL'],
      maxMessageSize: maxMessageBytes,
      variants,
    });
    this.#connection.on('connect', () => socket.filterInput((bytes) => this.#gate.take(bytes)));
    let cause: Error | undefined;
    this.#connection.on('error', (error) => {
      cause ??= error;
      socket.destroy();
    });
    this.#connection.on('message', (message) => this.#onMessage(message));
    this.closed = new Promise((resolve) => {
      socket.once('end', () => socket.destroy());
      socket.once('close', () => {
        const wanted = this.#end;
        this.#finish(wanted ?? busUnavailable(`the connection to the bus "${address}" ended`, cause));
        resolve(wanted ? undefined : this.#end);
      });
    });
  }

  /** Connects to the first socket of an address that answers, and says Hello. */
  static async open(address: string, options: ConnectionOptions = {}): Promise<BusConnection> {
    let failure: unknown;
    for (const socketName of parseBusAddress(address)) {
      let socket: DescriptorSocket;
      try {
        socket = DescriptorSocket.connect(socketName);
      } catch (error) {
        failure = error;
        continue;
      }
      const connection = new BusConnection(socket, address, options);
      await connection.#sayHello(options.timeoutMs ?? defaultTimeoutMs);
      return connection;
    }
    throw busUnavailable(`cannot connect to the bus "${address}"`, failure);
  }

  /** The name the bus gave this connection. */
  get uniqueName(): string {
    return this.#uniqueName;
  }

  async #sayHello(timeoutMs: number): Promise<void> {
    try {
      const [name] = await this.call({...busObject, member: 'Hello', timeoutMs});
      this.#uniqueName = String(name);
    } catch (error) {
      this.#socket.destroy();
      throw error instanceof ImgctlError ? error : busUnavailable('the bus did not say hello', error);
    }
  }

  /** Resolves with the values of the reply; rejects with a BusError, or an ImgctlError when the connection ends. */
  call(call: BusCall): Promise<readonly unknown[]> {
    const {timeoutMs = defaultTimeoutMs, interactive, body, fds, ...header} = call;
    return new Promise((resolve, reject) => {
      const serial = this.#nextSerial();
      const timer =
        timeoutMs > 0 && setTimeout(() => settle().reject(noReplyError(call, timeoutMs)), timeoutMs);
      const settle = () => {
        if (timer) clearTimeout(timer);
        this.#pending.delete(serial);
        return {resolve, reject};
      };
      this.#pending.set(serial, {
        resolve: (values) => settle().resolve(values),
        reject: (error) => settle().reject(error),
      });
      try {
        this.#send({
          ...header,
          type: messageType.methodCall,
          flags: interactive ? interactiveAuthorization : 0,
          serial,
          ...(body && {body: [...body]}),
          ...(fds && fds.length > 0 && {fds: [...fds]}),
        });
      } catch (error) {
        settle().reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
  }

  /** Sends a signal to everyone, or to one connection. */
  emitSignal(signal: Omit<BusSignal, 'sender'> & {destination?: string}): void {
    const {body, signature, ...header} = signal;
    const values = signature === '' ? {} : {signature, body: [...body]};
    this.#send({
      ...header,
      type: messageType.signal,
      flags: noReplyExpected,
      serial: this.#nextSerial(),
      ...values,
    });
  }

  /**
   * Has the bus deliver signals that match a rule (D-Bus specification, "Match Rules"). The listener hears every signal
   * that reaches the connection, whoever sent it: it checks sender, path and member itself. Resolves when the rule is in
   * place; the result ends it.
   */
  async subscribe(rule: string, listener: (signal: BusSignal) => void): Promise<() => Promise<void>> {
    const addressed = {...busObject, signature: 's', body: [rule]};
    this.#signalListeners.add(listener);
    try {
      await this.call({...addressed, member: 'AddMatch'});
    } catch (error) {
      this.#signalListeners.delete(listener);
      throw error;
    }
    return async () => {
      if (!this.#signalListeners.delete(listener) || this.#end) return;
      await this.call({...addressed, member: 'RemoveMatch'});
    };
  }

  /** Calls for this connection go to the handler; without one they are answered `UnknownMethod`. */
  handleCalls(handler: CallHandler): void {
    this.#handler = handler;
  }

  /** Asks for a name; false when another owns it and does not give it up. */
  async requestName(name: string, options: {replace?: boolean; giveUp?: boolean} = {}): Promise<boolean> {
    const flags = (options.giveUp ? 1 : 0) | (options.replace ? 2 : 0) | 4;
    const [outcome] = await this.call({
      ...busObject,
      member: 'RequestName',
      signature: 'su',
      body: [name, flags],
    });
    return outcome === 1 || outcome === 4;
  }

  async releaseName(name: string): Promise<void> {
    await this.call({...busObject, member: 'ReleaseName', signature: 's', body: [name]});
  }

  /** What was sent is still written; resolves when the socket is closed. */
  async close(): Promise<void> {
    this.#finish(busUnavailable('the connection to the bus was closed'));
    if (!this.#socket.writableEnded) this.#socket.end(() => this.#socket.destroy());
    await this.closed;
  }

  #finish(reason: ImgctlError): void {
    this.#end ??= reason;
    for (const pending of [...this.#pending.values()]) pending.reject(this.#end);
  }

  #send(message: Message): void {
    if (this.#end) throw this.#end;
    if (message.fds && this.#connection.state === 'connected' && !this.#connection.unixFdsAgreed) {
      throw new ImgctlError('NotSupported', 'the bus does not carry file descriptors');
    }
    this.#connection.message(message);
  }

  #nextSerial(): number {
    this.#serial = this.#serial >= 0xffffffff ? 1 : this.#serial + 1;
    return this.#serial;
  }

  #onMessage(message: Message): void {
    const fds = [...(message.fds ?? [])];
    for (const fd of fds) this.#socket.claim(fd);
    if (message.type === messageType.methodCall) {
      void this.#answer(message, this.#gate.takeBody(), fds).finally(() => closeAll(fds));
      return;
    }
    closeAll(fds);
    if (message.type === messageType.signal) this.#onSignal(message, this.#gate.takeBody());
    else this.#onReply(message);
  }

  #onReply(message: Message): void {
    const pending = this.#pending.get(message.replySerial ?? 0);
    const [text] = message.body ?? [];
    if (isCut(message.flags)) pending?.reject(tooLongError());
    else if (message.type === messageType.methodReturn) pending?.resolve(message.body ?? []);
    else pending?.reject(new BusError(message.errorName ?? '', typeof text === 'string' ? text : ''));
  }

  #onSignal(message: Message, raw: RawBody): void {
    if (isCut(message.flags)) return;
    const signal = signalOf(message, raw, this.#variants);
    if (signal) for (const listener of [...this.#signalListeners]) listener(signal);
  }

  async #answer(message: Message, raw: RawBody, fds: (number | undefined)[]): Promise<void> {
    try {
      const answer = await this.#handle(message, raw, fds);
      const values = answer &&
        answer.signature !== '' && {signature: answer.signature, body: [...answer.body]};
      this.#reply(message, {type: messageType.methodReturn, ...values});
    } catch (error) {
      if (this.#end) return;
      const text = error instanceof Error ? error.message : String(error);
      const errorName = error instanceof BusError ? error.errorName : busErrorNames.failed;
      this.#reply(message, {type: messageType.error, errorName, signature: 's', body: [text]});
    }
  }

  #reply(to: Message, reply: Message): void {
    if ((to.flags ?? 0) & noReplyExpected) return;
    const {serial: replySerial, sender: destination} = to;
    const address = {...(replySerial !== undefined && {replySerial}), ...(destination && {destination})};
    this.#send({...reply, ...address, serial: this.#nextSerial()});
  }

  async #handle(message: Message, raw: RawBody, fds: (number | undefined)[]): Promise<Answer | undefined> {
    const {sender = '', path = '', member = '', signature = '', flags = 0} = message;
    if (isCut(flags)) throw tooLongError();
    const body = readPlainValues(raw, signature, this.#variants);
    const takeFd = (index: number): number => {
      const fd = fds[index];
      if (fd === undefined) throw new BusError(busErrorNames.invalidArgs, 'Invalid argument');
      fds[index] = undefined;
      return fd;
    };
    const call: IncomingCall = {
      ...{sender, path, member, signature, body, takeFd},
      interface: message.interface ?? '',
      interactive: (flags & interactiveAuthorization) !== 0,
    };
    if (this.#handler) return await this.#handler(call);
    throw new BusError(
      busErrorNames.unknownMethod,
      `Unknown method ${member} or interface ${call.interface}.`,
    );
  }
}

const busObject = {destination: busName, path: '/org/freedesktop/DBus', interface: busName};

function closeAll(fds: (number | undefined)[]): void {
  for (const fd of fds.splice(0)) if (fd !== undefined) closeSync(fd);
}
