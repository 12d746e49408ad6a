/**
 * A JSON array read element by element while its bytes arrive: a listing may be much larger than what of it has to be held at
 * once. Borders of elements are found by counting brackets outside of strings; what lies between them goes to JSON.parse,
 * which says whether it is JSON.
 */

/** The answer is no JSON, or JSON but no array. */
export class NotAnArray extends Error {
  readonly isJson: boolean;

  constructor(isJson: boolean) {
    super(isJson ? 'not an array' : 'not JSON');
    this.isJson = isJson;
  }
}

const [quote, backslash, comma, open, close] = [0x22, 0x5c, 0x2c, 0x5b, 0x5d];

export class ElementScanner {
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  #isAtStart = true;
  #isAtEnd = false;
  /** Whether an element must follow: a comma came last. */
  #isDue = false;
  /** Of the element that the last chunk ended in, and of what is no array. */
  #rest: Buffer[] = [];
  #isOther = false;

  /** The elements that are whole now. Throws `NotAnArray`. */
  push(chunk: Buffer): unknown[] {
    let from = 0;
    if (this.#isAtStart) {
      from = firstOther(chunk, 0);
      if (from === chunk.length) return [];
      this.#isAtStart = false;
      this.#isOther = chunk[from] !== open;
      if (!this.#isOther) from += 1;
      this.#depth = 1;
    }
    if (this.#isOther) {
      this.#rest.push(chunk);
      return [];
    }
    if (this.#isAtEnd) return this.#nothingMore(chunk, 0);
    return this.#elements(chunk, from);
  }

  /** Throws `NotAnArray` when the array has not come to its end. */
  finish(): void {
    if (this.#isOther) {
      parse(Buffer.concat(this.#rest).toString());
      throw new NotAnArray(true);
    }
    if (!this.#isAtEnd) throw new NotAnArray(false);
  }

  #elements(chunk: Buffer, from: number): unknown[] {
    const border = this.#lastBorder(chunk, from);
    if (border < 0) {
      // A copy: the chunk is a part of something larger that would be held with it.
      this.#rest.push(Buffer.from(chunk.subarray(from)));
      return [];
    }
    const text = Buffer.concat([...this.#rest, chunk.subarray(from, border)]).toString();
    this.#rest = [];
    const isBlank = text.trim() === '';
    // Nothing may stand in an empty array alone.
    if (isBlank && (this.#isDue || !this.#isAtEnd)) throw new NotAnArray(false);
    this.#isDue = !this.#isAtEnd;
    const elements = parse(`[${text}]`) as unknown[];
    if (this.#isAtEnd) this.#nothingMore(chunk, border + 1);
    else this.#rest.push(Buffer.from(chunk.subarray(border + 1)));
    return elements;
  }

  /** Of the last comma between elements, or the bracket at the end; -1 where there is none. */
  #lastBorder(chunk: Buffer, from: number): number {
    let border = -1;
    let depth = this.#depth;
    let isInString = this.#isInString;
    let isEscaped = this.#isEscaped;
    for (let at = from; at < chunk.length; at += 1) {
      const byte = chunk[at]!;
      if (isInString) {
        if (isEscaped) isEscaped = false;
        else if (byte === backslash) isEscaped = true;
        else if (byte === quote) isInString = false;
      } else if (byte === quote) {
        isInString = true;
      } else if (byte === comma) {
        if (depth === 1) border = at;
      } else if ((byte | 0x20) === 0x7b) {
        depth += 1;
      } else if ((byte | 0x20) === 0x7d) {
        depth -= 1;
        if (depth === 0) {
          this.#isAtEnd = true;
          if (byte !== close) throw new NotAnArray(false);
          return at;
        }
      }
    }
    this.#depth = depth;
    this.#isInString = isInString;
    this.#isEscaped = isEscaped;
    return border;
  }

  #nothingMore(chunk: Buffer, from: number): unknown[] {
    if (firstOther(chunk, from) < chunk.length) throw new NotAnArray(false);
    return [];
  }
}

/** Past blanks as JSON has them. */
function firstOther(chunk: Buffer, from: number): number {
  let at = from;
  while (at < chunk.length && [0x20, 0x09, 0x0a, 0x0d].includes(chunk[at]!)) at += 1;
  return at;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new NotAnArray(false);
  }
}
