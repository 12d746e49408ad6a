/** Local names from the names of files (spec/importctl.md §3). */

const tarSuffixes = ['.tar', '.tar.xz', '.tar.gz', '.tar.bz2', '.tar.zst', '.tgz'];
const rawSuffixes = [
  '.xz',
  '.gz',
  '.bz2',
  '.zst',
  '.sysext.raw',
  '.confext.raw',
  '.raw',
  '.qcow2',
  '.img',
  '.bin',
];

/** The name without one suffix of archives; empty when nothing is left, which is no valid name. */
export function stripTarSuffix(name: string): string {
  const suffix = tarSuffixes.find((candidate) => name.endsWith(candidate));
  return suffix === undefined ? name : name.slice(0, -suffix.length);
}

/** The name without suffixes of disk images, as many as there are: `a.raw.img.xz` is `a`. May become empty. */
export function stripRawSuffixes(name: string): string {
  for (let rest = name; ; ) {
    const before = rest;
    for (const suffix of rawSuffixes) {
      if (rest.endsWith(suffix)) rest = rest.slice(0, -suffix.length);
    }
    if (rest === before) return rest;
  }
}

export function stripSuffixes(name: string, format: 'tar' | 'raw'): string {
  return format === 'tar' ? stripTarSuffix(name) : stripRawSuffixes(name);
}
