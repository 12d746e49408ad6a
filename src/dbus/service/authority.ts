/**
 * Who may do what: the service's own user always, everybody else by polkit, and nobody else where there is no polkit
 * (spec/import1-dbus.md §9). Credentials are the bus's word, never the caller's.
 */

import type {Peer} from '../../sys/peer.ts';
import {BusError, busErrorNames} from '../bus-error.ts';
import type {IncomingCall} from '../bus-messages.ts';
import {errnoError} from './call-errors.ts';

export type ActionId = `org.freedesktop.import1.${'import' | 'export' | 'pull' | 'cancel'}`;

/** What polkit says. */
export interface PolkitAnswer {
  isAuthorized: boolean;
  /** Asking the user could change the answer. */
  isChallenge: boolean;
}

export interface AuthoritySources {
  /** The user id of a connection of the bus; rejects when it is gone. */
  callerUid(sender: string): Promise<number>;
  ownUid: number;
  /** Undefined where no polkit runs. */
  askPolkit(question: PolkitQuestion): Promise<PolkitAnswer | undefined>;
}

/** A connection of the bus, or a process with its user. */
export type PolkitSubject = {sender: string} | {peer: Peer};

export interface PolkitQuestion {
  subject: PolkitSubject;
  action: ActionId;
  mayInteract: boolean;
  /** Shown beside the question. */
  details: Readonly<Record<string, string>>;
}

export class Authority {
  readonly #sources: AuthoritySources;

  constructor(sources: AuthoritySources) {
    this.#sources = sources;
  }

  /** Throws what a caller on the bus is answered if it may not. */
  async check(
    {sender, interactive}: Pick<IncomingCall, 'sender' | 'interactive'>,
    action: ActionId,
  ): Promise<void> {
    if (await this.isPrivileged(sender)) return;
    await this.#ask({subject: {sender}, action, mayInteract: interactive, details: {}});
  }

  /** The same for a process that called otherwise. */
  async checkPeer(
    peer: Peer,
    action: ActionId,
    options: Pick<PolkitQuestion, 'mayInteract' | 'details'>,
  ): Promise<void> {
    if (this.isPrivilegedUid(peer.uid)) return;
    await this.#ask({subject: {peer}, action, ...options});
  }

  async #ask(question: PolkitQuestion): Promise<void> {
    const answer = await this.#sources.askPolkit(question);
    if (answer?.isAuthorized) return;
    if (answer?.isChallenge && !question.mayInteract) {
      throw new BusError(busErrorNames.interactionRequired, 'Interactive authentication required.');
    }
    throw errnoError('EACCES');
  }

  async isPrivileged(sender: string): Promise<boolean> {
    return this.isPrivilegedUid(await this.#sources.callerUid(sender).catch(() => undefined));
  }

  isPrivilegedUid(uid: number | undefined): boolean {
    return uid === 0 || uid === this.#sources.ownUid;
  }
}
