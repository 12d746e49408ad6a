/** A catalog that is damaged, and what to do about it. */

import {ImgctlError} from '../errors.ts';

export function damaged(path: string, error: Error): ImgctlError {
  return new ImgctlError('CatalogCorrupt', `catalog "${path}" is damaged: ${error.message}`, {
    cause: error,
    hint: 'images are safe; make it anew from their records: imgctl doctor --repair',
  });
}

/** The value of a column that holds JSON. */
export function parseColumn(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw damaged(path, error as SyntaxError);
  }
}
