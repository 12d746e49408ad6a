/**
 * Records that cannot be read, for whoever works on other images: they are told of and passed over. One may be of a child,
 * so the image whose UUID stands in what is left of it is taken for its origin.
 */
import type {ActionContext} from './context.ts';
import type {OnUnreadable} from './installed.ts';

export class DamagedRecords {
  readonly #context: Pick<ActionContext, 'records' | 'report'>;
  readonly #uuids = new Set<string>();

  constructor(context: Pick<ActionContext, 'records' | 'report'>) {
    this.#context = context;
  }

  /** Told by whoever lists what is installed. */
  readonly note: OnUnreadable = (uuid, {message}) => {
    if (!this.#uuids.has(uuid)) this.#context.report.warn(`${message}; the image is passed over`);
    this.#uuids.add(uuid);
  };

  /** Dependents for messages: the images whose records name this one. */
  async naming(uuid: string): Promise<string[]> {
    const named: string[] = [];
    for (const other of this.#uuids)
      if (other !== uuid && (await this.#context.records.mentions(other, uuid)))
        named.push(`${other} (its record is damaged)`);
    return named;
  }
}
