const maxDistance = 2;
const maxNames = 5;
/** Nobody mistypes a name into something this long; the distance is not worth its time then. */
const maxLength = 64;

/** Names that one may have meant: at most two edits away, nearest first, then those it is the beginning of. */
export function nearNames(name: string, candidates: Iterable<string>): string[] {
  if (name === '' || name.length > maxLength) return [];
  const all = [...candidates];
  const near = all
    .map((candidate) => ({candidate, distance: editDistance(name, candidate)}))
    // Two edits turn any name of two letters into any other.
    .filter(({candidate, distance}) => distance <= Math.min(maxDistance, Math.floor(candidate.length / 2)))
    .sort((a, b) => a.distance - b.distance)
    .map(({candidate}) => candidate);
  const longer = all.filter((candidate) => candidate.startsWith(name));
  return [...new Set([...near, ...longer])].slice(0, maxNames);
}

/** Levenshtein's: insertions, deletions and replacements of one character. */
function editDistance(a: string, b: string): number {
  let row = Array.from({length: b.length + 1}, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
