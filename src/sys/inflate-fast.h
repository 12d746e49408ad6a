/* The quick loop of inflate.c, and how both look at bits. */
#ifndef INFLATE_FAST_H
#define INFLATE_FAST_H
#include <string.h>

#include "inflate.h"

enum {
  /* A round fills up twice, by seven bytes each, and looks at eight. */
  INFLATE_FAST_INPUT = 24,
};

static inline uint64_t inflate_load(const uint8_t *bytes) {
  uint64_t value;
  memcpy(&value, bytes, sizeof value);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  value = __builtin_bswap64(value);
#endif
  return value;
}

/* The extra bits behind a code, by its entry and the bits that begin with it. */
static inline unsigned inflate_extra(uint64_t bits, uint32_t entry) {
  return (bits & ((UINT64_C(1) << inflate_bits(entry)) - 1)) >> inflate_code_bits(entry);
}

/* Symbols, until one of input, `enough` and room is nearly over, or the block is: INFLATE_END. Else INFLATE_INPUT. There are
   INFLATE_FAST_INPUT bytes, and INFLATE_SLACK for output. More bits may be held than are needed. */
enum inflate_result inflate_fast(struct inflate *inflate, struct inflate_io *io);
#endif
