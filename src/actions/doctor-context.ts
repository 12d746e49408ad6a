/** What doctor is given and what it says of one thing. */

import type {Catalog} from '../catalog/catalog.ts';
import type {ActionContext} from './context.ts';

export interface DoctorCheck {
  /** What was looked at: `catalog`, `pool zones`, `image UUID`. */
  subject: string;
  /** A note is worth knowing; a problem wants mending. */
  status: 'ok' | 'note' | 'repaired' | 'problem';
  message: string;
}

export interface DoctorContext extends Pick<ActionContext, 'records' | 'engine' | 'pools' | 'locks'> {
  checkHost(): Promise<DoctorCheck[]>;
  /** Paths of what killed processes left beside images and records; removes it when told to. */
  leftovers(options: {remove: boolean}): Promise<string[]>;
  openCatalog(): Promise<Catalog>;
  /** Moves the damaged file away and opens a new one. */
  replaceCatalog(): Promise<Catalog>;
}
