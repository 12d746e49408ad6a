/** The platform an image asks for (spec/imgadm.md §7.4). Compared as plain text, as the reference does. */

import {ImgctlError} from '../errors.ts';
import type {ImageManifest} from './manifest.ts';

/** `VERSION/TIMESTAMP`, as in `7.0/20240101T000000Z`. */
export type PlatformText = string;

/** `MinPlatform` or `MaxPlatform` when the image is not for this platform. */
export function checkPlatform({requirements}: ImageManifest, platform: PlatformText): void {
  const [version = '', timestamp = ''] = platform.split('/');
  const check = (
    field: 'min_platform' | 'max_platform',
    isRight: (a: string, b: string) => boolean,
  ): void => {
    const map = requirements?.[field];
    if (typeof map !== 'object' || map === null || Object.keys(map).length === 0) return;
    const bounds = map as Record<string, unknown>;
    const versions = Object.keys(bounds).sort();
    const outermost = field === 'min_platform' ? versions[0] : versions.at(-1);
    const fits = Object.hasOwn(bounds, version)
      ? isRight(timestamp, String(bounds[version]))
      : isRight(version, outermost ?? '');
    if (fits) return;
    throw new ImgctlError(
      field === 'min_platform' ? 'MinPlatform' : 'MaxPlatform',
      `current platform version, ${platform}, does not satisfy requirements.${field}=${JSON.stringify(map)}`,
    );
  };
  check('min_platform', (a, b) => a >= b);
  check('max_platform', (a, b) => a <= b);
}
