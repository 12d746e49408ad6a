/** The part of a file a `Range` header asks for. */
export interface ByteRange {
  first: number;
  last: number;
}

/**
 * What a `Range` header means for a file of this size: a part, `'all'` when it is to be ignored (several ranges,
 * other units, nonsense), or `'none'` when nothing of it is there (RFC 9110 §14).
 */
export function parseByteRange(header: string | undefined, sizeBytes: number): ByteRange | 'all' | 'none' {
  const match = /^bytes=(\d{0,16})-(\d{0,16})$/.exec(header ?? '');
  const [, from = '', to = ''] = match ?? [];
  if (from === '' && to === '') return 'all';
  if (from === '') {
    const length = Math.min(Number(to), sizeBytes);
    return length === 0 ? 'none' : {first: sizeBytes - length, last: sizeBytes - 1};
  }
  const first = Number(from);
  const last = to === '' ? sizeBytes - 1 : Math.min(Number(to), sizeBytes - 1);
  if (to !== '' && Number(to) < first) return 'all';
  return first >= sizeBytes ? 'none' : {first, last};
}
