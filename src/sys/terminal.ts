/** Pseudo-terminals. */
import {closeSync, constants, openSync} from 'node:fs';
import {checked, native} from './native.ts';

export interface Terminal {
  master: number;
  /** Open too, and raw: bytes pass as they are, without echo. */
  slave: number;
  slavePath: string;
}

/** A new one; the caller closes both ends. */
export function openTerminal(): Terminal {
  const master = openSync('/dev/ptmx', constants.O_RDWR | constants.O_NOCTTY);
  try {
    const slavePath = `/dev/pts/${checked(native().unlockTerminal(master), 'ioctl TIOCGPTN')}`;
    const slave = openSync(slavePath, constants.O_RDWR | constants.O_NOCTTY);
    try {
      checked(native().makeRaw(slave), 'tcsetattr');
      return {master, slave, slavePath};
    } catch (error) {
      closeSync(slave);
      throw error;
    }
  } catch (error) {
    closeSync(master);
    throw error;
  }
}
