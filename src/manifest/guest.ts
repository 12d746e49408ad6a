/** What an image of each type can do on Linux. Said from the manifest alone; nothing is run to find out. */
import type {ImageManifest} from './manifest.ts';

export interface GuestExpectation {
  /** As a container (systemd-nspawn), as a virtual machine (systemd-vmspawn, QEMU), or not at all. */
  runs: 'container' | 'machine' | 'no';
  /** Why, and what will be missing. */
  note: string;
}

const illumos: GuestExpectation = {
  runs: 'no',
  note: 'its programs are for illumos, which Linux cannot run; the tree can be read and copied from',
};

/** By type; of images made for Linux hosts in the first place nothing is to be said. */
const byType: Readonly<Record<string, GuestExpectation>> = {
  'zone-dataset': illumos,
  'lx-dataset': {
    runs: 'container',
    note: 'its programs are for Linux; booting depends on its init, and what SmartOS brings into zones (/native, mdata-get, the network) is missing',
  },
  docker: {
    runs: 'container',
    note: 'its programs are for Linux; it has no init to boot, so a program has to be named',
  },
  zvol: {
    runs: 'machine',
    note: 'it is a disk; its guest tools look for the metadata of SmartOS on the second serial port, where nobody answers',
  },
};

export function guestExpectation({type, os}: ImageManifest): GuestExpectation | undefined {
  const expectation = Object.hasOwn(byType, type) ? byType[type] : undefined;
  // A zone image whose system is said to be Linux is one of LX under the wrong type.
  return type === 'zone-dataset' && os === 'linux' ? byType['lx-dataset'] : expectation;
}
