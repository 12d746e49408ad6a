/** Takes streams apart and puts right checksums into changed ones, so that changes get past them. */
import {headerBytes, parseHeader} from '../../src/formats/zfs-stream/record.ts';
import {fletcher4} from '../../src/sys/fletcher4.ts';

const sumAt = headerBytes - 32;

export interface RecordPlace {
  start: number;
  end: number;
}

/** Of a good stream. */
export function recordPlaces(stream: Buffer): RecordPlace[] {
  const places: RecordPlace[] = [];
  for (let start = 0; start < stream.length; ) {
    const {payloadLength} = parseHeader(stream.subarray(start, start + headerBytes));
    const end = start + headerBytes + payloadLength;
    places.push({start, end});
    start = end;
  }
  return places;
}

/** The stream with the sums that its records have to have; not for compound ones. */
export function resealed(changed: Buffer, places: readonly RecordPlace[]): Buffer {
  const stream = Buffer.from(changed);
  const state = Buffer.alloc(32);
  for (const {start, end} of places) {
    const isEnd = end === stream.length;
    if (isEnd) state.copy(stream, start + 8);
    fletcher4(state, stream.subarray(start, start + sumAt));
    if (start > 0) state.copy(stream, start + sumAt);
    fletcher4(state, stream.subarray(start + sumAt, start + headerBytes));
    fletcher4(state, stream.subarray(start + headerBytes, end));
  }
  return stream;
}
