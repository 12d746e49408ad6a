/** Telling OpenPGP's ASCII armor from its binary form (RFC 9580, §4.2 and §6). */

/** Every binary packet begins with a byte that has its highest bit set; no text does. */
export function isArmored(bytes: Uint8Array): boolean {
  return bytes.length > 0 && ((bytes[0] ?? 0) & 0x80) === 0;
}

/** The armored blocks of a kind in a text, each by itself; what stands around them is left out. */
export function splitArmor(bytes: Uint8Array, kind: string): string[] {
  const block = new RegExp(`^-----BEGIN PGP ${kind}-----\\r?$[^]*?^-----END PGP ${kind}-----\\r?$`, 'gm');
  return Buffer.from(bytes).toString('latin1').match(block) ?? [];
}
