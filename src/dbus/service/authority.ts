/**
 * Who may do what: the service's own user always, everybody else by polkit, and nobody else where there is no polkit
 * (spec/import1-dbus.md §9). Credentials are the bus's word, never the caller's.
 */

import type {IncomingCall} from '../bus-connection.ts';
import {BusError} from '../bus-error.ts';
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
  /** Undefined where no polkit runs. `details` are shown in its question. */
  askPolkit(question: PolkitQuestion): Promise<PolkitAnswer | undefined>;
}

export interface PolkitQuestion {
  sender: string;
  action: ActionId;
  mayInteract: boolean;
}

export class Authority {
  readonly #sources: AuthoritySources;

  constructor(sources: AuthoritySources) {
    this.#sources = sources;
  }

  /** Throws what the caller is answered if it may not. */
  async check(
    {sender, interactive}: Pick<IncomingCall, 'sender' | 'interactive'>,
    action: ActionId,
  ): Promise<void> {
    if (await this.isPrivileged(sender)) return;
    const answer = await this.#sources.askPolkit({sender, action, mayInteract: interactive});
    if (answer?.isAuthorized) return;
    if (answer?.isChallenge && !interactive) {
      throw new BusError(
        'org.freedesktop.DBus.Error.InteractiveAuthorizationRequired',
        'Interactive authentication required.',
      );
    }
    throw errnoError('EACCES');
  }

  async isPrivileged(sender: string): Promise<boolean> {
    const uid = await this.#sources.callerUid(sender).catch(() => undefined);
    return uid === 0 || uid === this.#sources.ownUid;
  }
}
