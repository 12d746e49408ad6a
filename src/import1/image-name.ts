/**
 * Valid local names (spec/engine.md §1): 1-255 bytes, no `/`, not `.` or `..`, no control characters,
 * not beginning `.#`. Not a hostname check: spaces, `:` and leading dots are fine.
 */
export function isImageName(name: string): boolean {
  if (name === '' || name === '.' || name === '..' || name.startsWith('.#')) return false;
  if (name.includes('/') || !name.isWellFormed()) return false;
  if (Buffer.byteLength(name) > 255) return false;
  for (const character of name) {
    const codePoint = character.codePointAt(0) ?? 0;
    if (codePoint < 0x20 || codePoint === 0x7f) return false;
  }
  return true;
}

/** Every file or directory name under which an image `name` may exist (spec/engine.md §1). */
export function imageNameForms(name: string): string[] {
  return [name, `${name}.raw`, `${name}.mstack`].flatMap((form) => [form, `${form}.v`]);
}
