/*
 * Raw deflate (RFC 1951) decoded into memory of the caller, resumable at every byte of its input and its output. It knows
 * nothing of Node.
 *
 * What hostile bytes could do, and what stands against it. What is refused is what zlib refuses:
 * - sets of code lengths that are over-subscribed or incomplete, except a single code of one bit or no distance at all, whose
 *   other codes are then refused where they occur; no code for the end of a block; more than 286 or 30 symbols; a repetition
 *   of nothing, or beyond the last symbol: all before a table is filled. The rooms of the tables are proved in
 *   inflate-tables.h, for they depend on what was not refused;
 * - the symbols that the fixed codes have and deflate has not; a block of the fourth kind; a stored length that its
 *   complement does not match;
 * - a distance beyond `history`: nothing before it is read, at every match, by difference and not by pointer;
 * - a length beyond the room: the quick loop runs only where a longest match, and what its words write too much, has room
 *   (INFLATE_SLACK), the careful one byte by byte; the quick one reads eight bytes at once only where there are as many.
 */
#ifndef INFLATE_H
#define INFLATE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inflate-tables.h"

enum {
  INFLATE_WINDOW = 32768,
  /* Literals of a round, a longest match, and the rest of its last words. */
  INFLATE_SLACK = 8 + 258 + 32,
};

enum inflate_result {
  INFLATE_DAMAGED = -1,
  INFLATE_END = 0,    /* of the last block; input begins behind it */
  INFLATE_INPUT = 1,  /* all of it was taken */
  INFLATE_OUTPUT = 2, /* there is enough of it, or no room for what comes next */
};

enum inflate_phase {
  INFLATE_HEADER,
  INFLATE_STORED_LENGTH,
  INFLATE_STORED,
  INFLATE_COUNTS,
  INFLATE_PRECODE,
  INFLATE_LENGTHS,
  INFLATE_SYMBOLS,
  INFLATE_MATCH,
  INFLATE_OVER,
};

/* Bits are held only while they are too few for what comes next; all others were given back to the input. */
struct inflate {
  uint64_t bits;
  unsigned count;
  enum inflate_phase phase;
  bool is_last;
  size_t length; /* left of a stored block or a match */
  size_t distance;
  const uint32_t *literals, *distances; /* of the fixed codes, or these: */
  unsigned literal_count, distance_count, precode_count, known;
  uint8_t lengths[INFLATE_LITERALS + INFLATE_DISTANCES];
  uint8_t precode_lengths[INFLATE_PRECODES];
  uint32_t precode[1 << INFLATE_PRECODE_BITS];
  uint32_t own_literals[INFLATE_LITERAL_ROOM];
  uint32_t own_distances[INFLATE_DISTANCE_ROOM];
};

/* `in` and `out` are moved on. What was made before lies from `history` to `out` in one piece: all, or the last 32 KiB at
   least. With `enough` before `out_end` it may stop from there on; what lies between `out` and `out_end` may be overwritten. */
struct inflate_io {
  const uint8_t *in, *in_end;
  uint8_t *out, *enough, *out_end;
  const uint8_t *history;
};

void inflate_begin(struct inflate *inflate);

/* Goes on as far as it can; not after INFLATE_DAMAGED. */
enum inflate_result inflate_run(struct inflate *inflate, struct inflate_io *io);
#endif
