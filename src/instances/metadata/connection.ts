import {answerLine} from './protocol.ts';
import {type MetadataStore, metadataLimits} from './store.ts';

/** A value of the largest size, encoded twice, with room for the rest of the line. */
const maxLineBytes = Math.ceil((metadataLimits.valueBytes * 16) / 9) + 4096;

/** Cuts what a guest sends into lines and answers each; a line without end is told once and passed over. */
export class LineAnswerer {
  readonly #store: MetadataStore;
  #rest = '';
  #skips = false;

  constructor(store: MetadataStore) {
    this.#store = store;
  }

  /** The answers to all lines that are complete now. */
  take(text: string): string {
    let answers = '';
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      if (!this.#skips) answers += answerLine(this.#store, line);
      this.#skips = false;
    }
    if (this.#rest.length > maxLineBytes) {
      if (!this.#skips) answers += 'invalid command\n';
      this.#skips = true;
      this.#rest = '';
    }
    return answers;
  }
}
