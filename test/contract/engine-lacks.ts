/**
 * What services on the bus cannot keep of the engine contract, and why. Nothing is left out silently: where the table names
 * a lack, the suite says what happens instead.
 */
export type Lack =
  | 'zstd'
  | 'qcow2'
  | 'strictDecoders'
  | 'unpackedLimit'
  | 'replacesOtherForms'
  | 'replacesReadOnly'
  | 'seesEveryForm'
  | 'lateCommit'
  | 'sortedArchives'
  | 'tellsAcquired'
  | 'sideFilesTwice'
  | 'digestOfPull';

export type Lacks = Readonly<Partial<Record<Lack, string>>>;

const anyService: Lacks = {
  unpackedLimit: 'import1 has no argument for it; services have a limit of their own',
  lateCommit: 'nothing can be inserted into a running transfer: beforeCommit is called before it starts',
  seesEveryForm: 'services list what is an image: no empty version directory, no directory called NAME.raw',
  digestOfPull: 'import1 does not tell the digest of what it verified',
};

const importd: Lacks = {
  ...anyService,
  qcow2: 'importd reads no zstd clusters and no disk that ends within a cluster; the client refuses them',
  replacesOtherForms: 'importd replaces a directory by a directory and a disk by a disk',
  replacesReadOnly: 'importd does not lift the immutable attribute of the directory it replaces',
  sideFilesTwice: 'importd cannot store a second copy of a file beside the image',
};

/** By suite of the oracle, or `ours`. */
export const serviceLacks: Readonly<Record<string, Lacks>> = {
  ours: anyService,
  sid: importd,
  trixie: {
    ...importd,
    zstd: 'importd decodes it since 258; the client refuses it before anything is sent',
    strictDecoders: 'importd 257 stores what it could read of a file that is cut off',
    tellsAcquired: 'importd 257 does not say how much it got',
    sortedArchives: 'importd 257 runs tar, which takes names as the directory has them',
  },
};
