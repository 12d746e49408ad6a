/**
 * Faults that tests ask for (spec/imgadm.md §2.3): a comma list of probabilities, of which the Nth is that of the Nth
 * manifest or file that this process asks for to fail.
 */

import {ImgctlError} from '../errors.ts';
import type {VerifiedSource} from '../sources/source.ts';

const variables = {
  findImage: 'IMGADM_TEST_GET_META_COSMIC_RAY',
  fetchFile: 'IMGADM_TEST_DOWNLOAD_COSMIC_RAY',
} as const;

type Struck = keyof typeof variables;

export class CosmicRays {
  readonly #probabilities: Readonly<Record<Struck, number[]>>;

  constructor(env: Readonly<Record<string, string | undefined>>) {
    const listIn = (name: Struck): number[] =>
      (env[variables[name]] ?? '').split(',').map((text) => Number.parseFloat(text) || 0);
    this.#probabilities = {findImage: listIn('findImage'), fetchFile: listIn('fetchFile')};
  }

  /** The source, or one that fails as often as asked for. All sources of a process share the lists. */
  over(source: VerifiedSource): VerifiedSource {
    const isQuiet = Object.values(this.#probabilities).every((list) => list.every((value) => value === 0));
    if (isQuiet) return source;
    return {
      settings: source.settings,
      ping: (options) => source.ping(options),
      listImages: (options) => source.listImages(options),
      findImage: async (uuid, options) => {
        this.#strike('findImage', uuid);
        return source.findImage(uuid, options);
      },
      checkFile: (manifest) => source.checkFile(manifest),
      fetchFile: async (manifest, options) => {
        this.#strike('fetchFile', manifest.uuid);
        return source.fetchFile(manifest, options);
      },
    };
  }

  #strike(what: Struck, uuid: string): void {
    const probability = this.#probabilities[what].shift() ?? 0;
    if (Math.random() >= probability) return;
    throw new ImgctlError('DownloadError', `image ${uuid} was hit by a cosmic ray (${variables[what]})`, {
      retryable: true,
    });
  }
}
