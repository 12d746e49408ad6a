import type {TreeEntry} from './tree-entry.ts';

const noBytes = Buffer.alloc(0);

/** Gives the contents of a file to `put`, piece by piece as they come. */
export function addPieces(
  {plain, size}: TreeEntry,
  put: (bytes: Buffer, position: number) => Promise<void> | undefined,
): Promise<void> | undefined {
  const bytes = plain?.takeReady() ?? noBytes;
  if (bytes.length === size) return put(bytes, 0);
  const rest = async () => {
    await put(bytes, 0);
    for (let position = bytes.length; position < size; ) {
      await plain?.more();
      const next = plain?.takeReady() ?? noBytes;
      await put(next, position);
      position += next.length;
    }
  };
  return rest();
}
