import {classDirectoryNames} from '../import1/image-class.ts';
import {isImageWish, type Wish} from '../import1/pull-wish.ts';

/** Directory that the image goes to. */
export function classRoot(wish: Wish): string {
  return `${!isImageWish(wish) && wish.runtime ? '/run' : '/var/lib'}/${classDirectoryNames[wish.imageClass]}`;
}

/** Where the image will lie; of one from the sources only the image itself tells whether `.raw` follows. */
export function imagePath(wish: Wish): string {
  if (isImageWish(wish)) return `${classRoot(wish)}/${wish.localName ?? wish.image}`;
  const path = `${classRoot(wish)}/${wish.localName ?? ''}`;
  return wish.type === 'raw' ? `${path}.raw` : path;
}
