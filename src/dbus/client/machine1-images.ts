/** What import1 has no methods for, asked of org.freedesktop.machine1, which knows images of class machine only. */
import type {ImageStore, StoredImage} from '../../engine/engine.ts';
import {ImgctlError} from '../../errors.ts';
import type {BusConnection} from '../bus-connection.ts';
import {machine1} from '../import1.ts';
import {asCallError} from './call-errors.ts';
import {imagesOfMachine1} from './image-list.ts';

interface ImageCall {
  member: string;
  signature?: string;
  body?: readonly unknown[];
  attempted: string;
}

export class Machine1Images {
  readonly #bus: BusConnection;
  readonly #interactive: boolean;

  constructor(bus: BusConnection, options: {interactive: boolean}) {
    this.#bus = bus;
    this.#interactive = options.interactive;
  }

  async list(store: ImageStore): Promise<StoredImage[]> {
    const [rows] = await this.#call({member: 'ListImages', attempted: 'Listing the images of class machine'});
    return imagesOfMachine1(rows, store);
  }

  /** False if it was not there. */
  async remove(name: string): Promise<boolean> {
    const attempted = `Removing image "${name}"`;
    try {
      await this.#call({member: 'RemoveImage', signature: 's', body: [name], attempted});
      return true;
    } catch (error) {
      if (error instanceof ImgctlError && error.code === 'ImageNotInstalled') return false;
      throw error;
    }
  }

  async markReadOnly(name: string): Promise<void> {
    const attempted = `Marking image "${name}" read-only`;
    await this.#call({member: 'MarkImageReadOnly', signature: 'sb', body: [name, true], attempted});
  }

  async clone(name: string, cloneName: string): Promise<void> {
    const attempted = `Cloning image "${name}" to "${cloneName}"`;
    const body = [name, cloneName, false];
    try {
      await this.#call({member: 'CloneImage', signature: 'ssb', body, attempted});
    } catch (error) {
      if (!(error instanceof ImgctlError) || error.code !== 'ImageAlreadyExists') throw error;
      throw new ImgctlError('InstanceExists', `instance "${cloneName}" already exists`, {cause: error});
    }
  }

  async #call({attempted, ...message}: ImageCall): Promise<readonly unknown[]> {
    const target = {destination: machine1.service, path: machine1.managerPath, interface: machine1.manager};
    try {
      // Copying and removing takes as long as it takes.
      return await this.#bus.call({...target, ...message, interactive: this.#interactive, timeoutMs: 0});
    } catch (error) {
      throw asCallError(error, {attempted, service: machine1.service});
    }
  }
}
