/**
 * What org.freedesktop.import1 fixes about image classes (spec/engine.md §1). Pure data and text:
 * no file is touched here.
 */

export type ImageClass = 'machine' | 'portable' | 'sysext' | 'confext';

export const imageClasses: readonly ImageClass[] = ['machine', 'portable', 'sysext', 'confext'];

/** Directory below /var/lib (root) or $XDG_STATE_HOME (user) that holds images of a class. */
export const classDirectoryNames: Readonly<Record<ImageClass, string>> = {
  machine: 'machines',
  portable: 'portables',
  sysext: 'extensions',
  confext: 'confexts',
};

/** True for a text that names an image class. */
export function isImageClass(text: string): text is ImageClass {
  return (imageClasses as readonly string[]).includes(text);
}
