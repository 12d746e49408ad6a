import {stripSuffixes} from './local-name.ts';

/**
 * The NAME argument of a pull command that gives an image exactly this local name, since an explicit NAME loses its suffixes
 * too (spec/importctl.md §3); undefined when there is none.
 */
export function imageNameArgument(localName: string, type: 'tar' | 'raw'): string | undefined {
  if (localName === '' || localName === '-') return undefined;
  if (stripSuffixes(localName, type) === localName) return localName;
  // Of a tar's name only one suffix goes.
  return type === 'tar' ? `${localName}.tar` : undefined;
}
