/** Names by which a layer takes things away (OCI image specification, layer.md). */

const prefix = Buffer.from('.wh.');
/** In a directory: nothing that was in it before stays. */
export const opaqueName = Buffer.from('.wh..wh..opq');

export function isWhiteout(name: Buffer): boolean {
  return name.subarray(0, prefix.length).equals(prefix);
}

export function whiteoutOf(name: Buffer): Buffer {
  return Buffer.concat([prefix, name]);
}

/** The name that a whiteout takes away; undefined for other uses of the prefix, which mean nothing here. */
export function hiddenBy(name: Buffer): Buffer | undefined {
  const hidden = name.subarray(prefix.length);
  return hidden.length === 0 || isWhiteout(hidden) ? undefined : hidden;
}
