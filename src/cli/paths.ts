/** Where state lies (design.md §4): system paths for root, XDG paths for a user, all below `root` if given. */

import path from 'node:path';
import {classDirectoryNames, type ImageClass} from '../import1/image-class.ts';

export interface StatePaths {
  scope: Scope;
  catalogFile: string;
  recordsDirectory: string;
  cacheDirectory: string;
  runtimeDirectory: string;
  configFile: string;
  /** Weaker ones, the weakest first: of the vendor, and for a user of the system. */
  configFilesBelow: string[];
  /** Notes of what was pulled last. */
  pullNotesDirectory: string;
  /** When the newest signed list of each place was signed. */
  signedListsDirectory: string;
  imageDirectory(imageClass: ImageClass): string;
  /** For images that go with the boot. */
  runtimeImageDirectory(imageClass: ImageClass): string;
}

/** Whose state: the system's, or the calling user's own. */
export type Scope = 'system' | 'user';

export interface PathInputs {
  env: Readonly<Record<string, string | undefined>>;
  uid: number;
  homeDirectory: string;
  root: string | undefined;
  /** Undefined: the system's for uid 0, else the user's. Says nothing where there is a root. */
  scope?: Scope | undefined;
}

const vendorConfigFile = '/usr/lib/imgctl/config.json';

/** System paths apply to uid 0 and to every use of `root`, so that an image build works as any user. */
export function statePaths(inputs: PathInputs): StatePaths {
  const below = (absolute: string): string =>
    path.join(inputs.root ? path.resolve(inputs.root) : '/', absolute);
  const scope = inputs.scope ?? (inputs.uid === 0 ? 'system' : 'user');
  if (scope === 'system' || inputs.root) {
    // Units for images that go with the boot set it to /run.
    const imageRoot = inputs.env.IMGCTL_IMAGE_ROOT || '/var/lib';
    return {
      scope: 'system',
      catalogFile: below('/var/lib/imgctl/catalog.db'),
      recordsDirectory: below('/var/lib/imgctl/records'),
      cacheDirectory: below('/var/cache/imgctl'),
      runtimeDirectory: below('/run/imgctl'),
      configFile: below('/etc/imgctl/config.json'),
      configFilesBelow: [below(vendorConfigFile)],
      pullNotesDirectory: below('/var/lib/imgctl/pulls'),
      signedListsDirectory: below('/var/lib/imgctl/signed'),
      imageDirectory: (imageClass) => below(path.join(imageRoot, classDirectoryNames[imageClass])),
      runtimeImageDirectory: (imageClass) => below(path.join('/run', classDirectoryNames[imageClass])),
    };
  }
  const xdg = (name: string, fallback: string): string => {
    const value = inputs.env[name];
    return value && path.isAbsolute(value) ? value : path.join(inputs.homeDirectory, fallback);
  };
  const data = path.join(xdg('XDG_DATA_HOME', '.local/share'), 'imgctl');
  const cache = path.join(xdg('XDG_CACHE_HOME', '.cache'), 'imgctl');
  const runtime = inputs.env.XDG_RUNTIME_DIR;
  const state = xdg('XDG_STATE_HOME', '.local/state');
  const runtimeDirectory =
    runtime && path.isAbsolute(runtime) ? path.join(runtime, 'imgctl') : path.join(cache, 'run');
  return {
    scope: 'user',
    catalogFile: path.join(data, 'catalog.db'),
    recordsDirectory: path.join(data, 'records'),
    cacheDirectory: cache,
    runtimeDirectory,
    configFile: path.join(xdg('XDG_CONFIG_HOME', '.config'), 'imgctl/config.json'),
    configFilesBelow: [vendorConfigFile, '/etc/imgctl/config.json'],
    pullNotesDirectory: path.join(data, 'pulls'),
    signedListsDirectory: path.join(data, 'signed'),
    runtimeImageDirectory: (imageClass) => path.join(runtimeDirectory, classDirectoryNames[imageClass]),
    imageDirectory: (imageClass) => path.join(state, classDirectoryNames[imageClass]),
  };
}

/**
 * Keyrings whose keys may sign pulls (design.md §7): the one of `SYSTEMD_OPENPGP_KEYRING` alone, if that is set as
 * systemd has it, else the local and the vendor's.
 */
export function keyringFiles(env: PathInputs['env'], root: string | undefined): string[] {
  const only = env.SYSTEMD_OPENPGP_KEYRING;
  if (only && path.isAbsolute(only)) return [only];
  return ['/etc/systemd', '/usr/lib/systemd'].flatMap((directory) =>
    ['import-pubring.pgp', 'import-pubring.gpg'].map((name) =>
      path.join(root ? path.resolve(root) : '/', directory, name),
    ),
  );
}

/** What pulls are verified with. */
export function proofPlaces(
  env: PathInputs['env'],
  root: string | undefined,
  {signedListsDirectory}: StatePaths,
): {keyringFiles: string[]; signedListsDirectory: string} {
  return {keyringFiles: keyringFiles(env, root), signedListsDirectory};
}
