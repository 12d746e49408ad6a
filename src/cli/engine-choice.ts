/** Which engine an invocation uses (design.md §6): one, chosen before anything is done. */

import {accessSync, constants, existsSync} from 'node:fs';
import path from 'node:path';
import {ImgctlError} from '../errors.ts';
import {globalFlags} from './flags.ts';
import {checkOption} from './global-flags.ts';

export interface EngineWish {
  /** `--engine`, or the environment's word. */
  wanted: string | undefined;
  root: string | undefined;
  /** Where the default pool would lie if this program stored images itself. */
  directory: string;
}

/** `auto` is embedded where the caller may write the pool's directory, otherwise the bus. */
export function chooseEngine({wanted = 'auto', root, directory}: EngineWish): 'embedded' | 'dbus' {
  checkOption('engine', globalFlags.engine, wanted);
  if (root !== undefined) {
    if (wanted !== 'dbus') return 'embedded';
    throw new ImgctlError(
      'Usage',
      'the dbus engine cannot work below --root: services on the bus work below /',
    );
  }
  if (wanted === 'auto') return isWritable(directory) ? 'embedded' : 'dbus';
  return wanted === 'dbus' ? 'dbus' : 'embedded';
}

/** A directory that is missing can be made where its nearest parent can be written. */
function isWritable(directory: string): boolean {
  if (!existsSync(directory)) return isWritable(path.dirname(directory));
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
