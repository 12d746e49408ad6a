/**
 * The second image of a disk that comes as it is stored, copied by the kernel while the first arrives. Nobody looks into it,
 * so no child is needed.
 */
import {closeSync, constants, openSync} from 'node:fs';
import path from 'node:path';
import {CopyBeside} from '../../../sys/copy-beside.ts';
import {copyUserAttributes} from '../../../sys/metadata.ts';
import {makeStaging, type Staging, stagedRaw} from '../../../sys/staging.ts';
import {diskTooLarge} from '../failure.ts';
import {PendingSyncs} from '../pending-syncs.ts';

export class EarlyCopy {
  /** Of whoever takes the copy. */
  readonly staging: Staging;
  readonly #source: number;
  readonly #target: number;
  readonly #maxBytes: number;
  readonly #copy: CopyBeside;

  /** The source stays open until `finish` or `close` has resolved. */
  constructor(source: number, place: {directory: string; name: string; maxBytes: number}) {
    this.staging = makeStaging(place.directory, place.name);
    this.#source = source;
    this.#maxBytes = place.maxBytes;
    const flags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY;
    this.#target = openSync(path.join(this.staging.path, stagedRaw), flags, 0o644);
    this.#copy = new CopyBeside(source, this.#target);
  }

  /** Everything before `sizeBytes` is there and will not change. */
  reached(sizeBytes: number): void {
    if (sizeBytes <= this.#maxBytes) this.#copy.reached(sizeBytes);
  }

  /** All of it is there, with its times and attributes. Resolves when the copy is whole and on the disk; closes it. */
  async finish(sizeBytes: number): Promise<void> {
    try {
      if (sizeBytes > this.#maxBytes) throw diskTooLarge(sizeBytes, this.#maxBytes);
      await this.#copy.finish(sizeBytes);
      copyUserAttributes(this.#source, this.#target);
      const syncs = new PendingSyncs();
      syncs.file(this.#target);
      await syncs.settle();
    } finally {
      await this.close();
    }
  }

  /** Gives it up; `staging` still has to be removed. */
  async close(): Promise<void> {
    await this.#copy.settle();
    closeSync(this.#target);
  }
}
