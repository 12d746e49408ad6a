import type {ImageClass} from './image-class.ts';

/** What every wish says. */
interface WishBase {
  imageClass: ImageClass;
  /** How often a failure is tried again. */
  retries: number;
}

/** One image that a machine is to have, as the kernel command line, a credential or a file asks for it. */
export interface PullWish extends WishBase {
  type: 'raw' | 'tar';
  url: string;
  /** Undefined: whoever pulls derives it from the URL. */
  localName: string | undefined;
  readOnly: boolean;
  verify: 'no' | 'checksum' | 'signature' | {sha256: string};
  /** Below /run instead of /var/lib, so gone at the next boot. */
  runtime: boolean;
  /** Attached to a loop device once it is there. */
  blockdev: boolean;
  /** Nothing is done when an image of that name exists. */
  skipIfPresent: boolean;
  /** An existing image is replaced when the server has another one, and left alone otherwise. */
  refresh: boolean;
}

/** An image of the configured sources, which is read-only, verified by its manifest and fetched once. */
export interface ImageWish extends WishBase {
  /** What `imgctl import` is asked for. */
  image: string;
  channel: string | undefined;
  /** Local name, where it is not the UUID. */
  localName: string | undefined;
}

export type Wish = PullWish | ImageWish;

export function isImageWish(wish: Wish): wish is ImageWish {
  return 'image' in wish;
}
