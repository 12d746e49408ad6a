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
    // An empty piece would be one more beginning.
    for (let position = 0, piece = bytes; ; piece = plain?.takeReady() ?? noBytes) {
      if (piece.length > 0) await put(piece, position);
      position += piece.length;
      if (position >= size) return;
      await plain?.more();
    }
  };
  return rest();
}
