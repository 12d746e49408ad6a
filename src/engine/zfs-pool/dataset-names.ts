/**
 * Names of datasets and snapshots: those of images, and those of work that is under way (spec/imgadm.md §7.5). What is
 * temporary carries a mark of its root and a number that is the name of a lock, so that the next process of the same
 * root can tell what a killed one left, and leaves alone what another root is at.
 */
import {createHash, randomBytes} from 'node:crypto';
import {ImgctlError} from '../../errors.ts';

/** ZFS_MAX_DATASET_NAME_LEN, less the NUL. */
const longestName = 255;
/** What a component may consist of (zfs(8)), less the blank; the first one is the pool's and begins with a letter. */
const datasetPattern = /^[A-Za-z][A-Za-z0-9_.:-]*(?:\/[A-Za-z0-9_.:-]+)*$/;
const componentPattern = /^[A-Za-z0-9_][A-Za-z0-9_.:-]*$/;
const temporaryPrefix = 'imgctl-partial-';
const temporaryPattern = /^imgctl-partial-[0-9a-f]{8}-[0-9a-f]{16}$/;

/** The snapshot that is the image. */
export const finalSnapshot = 'final';

export function isDatasetName(text: string): boolean {
  const components = text.split('/');
  return (
    text.length <= longestName &&
    datasetPattern.test(text) &&
    !components.some((component) => component === '.' || component === '..')
  );
}

/** The dataset of an image or instance. `InvalidArgument` for a name that no dataset can have, or that is ours. */
export function childDataset(parent: string, name: string): string {
  const dataset = `${parent}/${name}`;
  // A snapshot of it has to fit too.
  const isTooLong = dataset.length + temporaryPrefix.length + 26 > longestName;
  if (componentPattern.test(name) && !isTemporary(name) && !isTooLong) return dataset;
  throw new ImgctlError(
    'InvalidArgument',
    `${JSON.stringify(name)} cannot be the name of a dataset in "${parent}"`,
    {
      hint: 'Use letters, digits, "_", "-", "." and ":"',
    },
  );
}

export function finalOf(dataset: string): string {
  return `${dataset}@${finalSnapshot}`;
}

/** Whether the last component of a dataset or the name of a snapshot is that of something temporary, of any root. */
export function isTemporary(name: string): boolean {
  return temporaryPattern.test(name);
}

/** Tells roots apart by where their processes meet. */
export class TemporaryNames {
  readonly #prefix: string;

  constructor(runtimeDirectory: string) {
    const mark = createHash('sha256').update(runtimeDirectory).digest('hex').slice(0, 8);
    this.#prefix = `${temporaryPrefix}${mark}-`;
  }

  make(): string {
    return this.#prefix + randomBytes(8).toString('hex');
  }

  isOurs(name: string): boolean {
    return name.startsWith(this.#prefix) && isTemporary(name);
  }
}
