/*
 * Tables of prefix codes, for inflate.c and inflate-fast.c. A code is looked up by the next bits, and what is longer in a table
 * behind the first one, whose entry tells where.
 *
 * Their rooms: a table behind belongs to one beginning, and with codes of up to k bits more it has 2^k entries. What begins so
 * is a complete code of its own, and one that is k bits long has k + 1 symbols at least. So no symbol takes more than
 * 2^k / (k + 1) entries there, which grows with k, and k is at most what 15 bits leave.
 */
#ifndef INFLATE_TABLES_H
#define INFLATE_TABLES_H
#include <stdbool.h>
#include <stdint.h>

enum {
  INFLATE_MAX_BITS = 15,
  INFLATE_LITERALS = 286, /* with lengths */
  INFLATE_FIXED_LITERALS = 288,
  INFLATE_DISTANCES = 30,
  INFLATE_FIXED_DISTANCES = 32,
  INFLATE_PRECODES = 19,
  INFLATE_END_OF_BLOCK = 256,
  INFLATE_LITERAL_BITS = 11,
  INFLATE_DISTANCE_BITS = 8,
  INFLATE_PRECODE_BITS = 7,
};

#define INFLATE_ROOM(symbols, bits) \
  ((1 << (bits)) + (symbols) * (1 << (INFLATE_MAX_BITS - (bits))) / (INFLATE_MAX_BITS - (bits) + 1) + 1)
enum {
  INFLATE_LITERAL_ROOM = INFLATE_ROOM(INFLATE_LITERALS, INFLATE_LITERAL_BITS),
  INFLATE_DISTANCE_ROOM = INFLATE_ROOM(INFLATE_DISTANCES, INFLATE_DISTANCE_BITS),
};

/*
 * An entry:
 *   0-5    bits of the code and the extra bits behind it
 *   7      a literal: 16-23
 *   8-13   bits of the code alone; of a table behind, the bits that it is looked up by
 *   14     a table behind: 16-31 where it begins
 *   15     the end of a block (16-31: 0), or a code that there is not
 *   16-31  the least length or distance, to which the extra bits are added; of the precode, the symbol
 * A shift takes the lowest six bits of its count, so that entries need no mask. Eleven bits for literals and eight for
 * distances were as quick as any; two literals in one entry were no quicker.
 */
enum {
  INFLATE_LITERAL = 1 << 7,
  INFLATE_BEHIND = 1 << 14,
  INFLATE_STOP = 1 << 15,
  INFLATE_NO_CODE = INFLATE_STOP | 1 << 16,
};

/* Lowest six bits, or eight to thirteen, as a count of bits. */
static inline unsigned inflate_bits(uint32_t entry) { return entry & 63; }
static inline unsigned inflate_code_bits(uint32_t entry) { return entry >> 8 & 63; }

/* False for lengths that are refused. */
bool inflate_precode_table(uint32_t *table, const uint8_t *lengths);
bool inflate_literal_table(uint32_t *table, const uint8_t *lengths, unsigned count);
bool inflate_distance_table(uint32_t *table, const uint8_t *lengths, unsigned count);

extern uint32_t inflate_fixed_literals[1 << INFLATE_LITERAL_BITS];
extern uint32_t inflate_fixed_distances[1 << INFLATE_DISTANCE_BITS];
#endif
