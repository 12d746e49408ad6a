import type {ImageClass} from './image-class.ts';

/**
 * Valid local names (spec/engine.md §1): 1-255 bytes, no `/`, not `.` or `..`, no control characters,
 * not beginning `.#`. Not a hostname check: spaces, `:` and leading dots are fine.
 */
export function isImageName(name: string): boolean {
  if (name === '' || name === '.' || name === '..' || name.startsWith('.#')) return false;
  // Nearly all are like this; a list may have ten thousand.
  if (/^[\x20-\x2e\x30-\x7e]{1,255}$/.test(name)) return true;
  if (name.includes('/') || !name.isWellFormed()) return false;
  if (Buffer.byteLength(name) > 255) return false;
  for (const character of name) {
    const codePoint = character.codePointAt(0) ?? 0;
    if (codePoint < 0x20 || codePoint === 0x7f) return false;
  }
  return true;
}

/**
 * Every file or directory name under which an image `name` may exist (spec/engine.md §1). Extensions may carry
 * their class before the format suffix.
 */
export function imageNameForms(name: string, imageClass?: ImageClass): string[] {
  const isExtension = imageClass === 'sysext' || imageClass === 'confext';
  const names = isExtension ? [name, `${name}.${imageClass}`] : [name];
  return names
    .flatMap((base) => [base, `${base}.raw`, `${base}.mstack`])
    .flatMap((form) => [form, `${form}.v`]);
}
