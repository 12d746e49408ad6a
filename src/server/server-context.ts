import type {Channel} from './channels-file.ts';
import type {ImageStore} from './image-store.ts';
import type {Users} from './users-file.ts';

/** Which images a server keeps: published for everybody, or one owner's (spec/imgapi.md §1.2). */
export type ServerMode = 'public' | 'private';

/** What endpoints work with. */
export interface ServerContext {
  store: ImageStore;
  mode: ServerMode;
  /** Undefined on a server without channels. */
  channels: readonly Channel[] | undefined;
  /** Greatest size of an image's file. */
  maxFileBytes: number;
  /** Who may write; undefined: whoever reaches the server. */
  users: Users | undefined;
  /** Reads the users file again. */
  reloadUsers(): Promise<void>;
  now(): Date;
}
