/** Thousands of names compared with a directory at once: see missing-names.c. */
import {native} from './native.ts';

export interface NameForms {
  /** Files called a name and this are what is meant by the name. */
  suffix: string;
  /** Whether directories called a name are meant too; files then have to be regular ones. */
  takesDirectories: boolean;
}

/**
 * The names of the other files with the suffix, or undefined when one of the `wanted`, joined by slashes, is missing or cannot
 * be told to be there, as symbolic links, or the directory cannot be read: whoever looks at each finds out.
 */
export function otherNames(
  directory: string,
  wanted: string,
  {suffix, takesDirectories}: NameForms,
): string[] | undefined {
  const result = native().missingNames(directory, wanted, suffix, takesDirectories);
  if (typeof result !== 'number')
    return result.length === 0 ? [] : result.toString().slice(0, -1).split('\0');
  return undefined;
}
