/*
 * The quick loop of inflate.c. Bits are filled up without a branch to 56 at least: three codes of the first table, or one of
 * any length with its extra bits and a look at the next, fit in. The next entry is looked up before a match is copied, for
 * the copy waits for memory and the look for the bits. What is written beyond a match is written again.
 */
#include "inflate-fast.h"

#define ALWAYS static inline __attribute__((always_inline))

enum { WORD = 8, LONG = 16 };

ALWAYS void copy_word(uint8_t *to, const uint8_t *from) {
  uint64_t word;
  memcpy(&word, from, WORD);
  memcpy(to, &word, WORD);
}

ALWAYS void copy_long(uint8_t *to, const uint8_t *from) {
  struct { uint64_t words[2]; } value;
  memcpy(&value, from, LONG);
  memcpy(to, &value, LONG);
}

/* Up to 31 bytes too many are written. */
ALWAYS void copy_match(uint8_t *out, size_t distance, size_t length) {
  const uint8_t *from = out - distance, *end = out + length;
  if (distance >= LONG) {
    do {
      copy_long(out, from);
      copy_long(out + LONG, from + LONG);
      out += 2 * LONG, from += 2 * LONG;
    } while (out < end);
  } else if (distance == 1) {
    uint64_t word = *from * UINT64_C(0x0101010101010101);
    do {
      memcpy(out, &word, WORD);
      memcpy(out + WORD, &word, WORD);
      out += 2 * WORD;
    } while (out < end);
  } else {
    /* Where it overlaps, a word is right in as many bytes as it is far. */
    size_t step = distance < WORD ? distance : WORD;
    do {
      copy_word(out, from);
      out += step, from += step;
    } while (out < end);
  }
}

/* Longer than a function should be: what it works with stays in registers. */
ALWAYS enum inflate_result run(struct inflate *inflate, struct inflate_io *io) {
  const uint8_t *in = io->in, *in_limit = io->in_end - INFLATE_FAST_INPUT;
  uint8_t *out = io->out, *out_limit = io->out_end - INFLATE_SLACK;
  if (out_limit > io->enough) out_limit = io->enough;
  const uint32_t *literals = inflate->literals, *distances = inflate->distances;
  const unsigned literal_mask = (1 << INFLATE_LITERAL_BITS) - 1, distance_mask = (1 << INFLATE_DISTANCE_BITS) - 1;
  uint64_t bits = inflate->bits;
  uint32_t count = inflate->count; /* the lowest six bits of it */
  enum inflate_result result = INFLATE_INPUT;

#define FILL() (bits |= inflate_load(in) << (count & 63), in += 7 - (count >> 3 & 7), count |= 56)
#define DROP(entry) (bits >>= (entry) & 63, count -= (entry))
#define PUT(entry) (*out++ = (entry) >> 16)

  FILL();
  uint32_t entry = literals[bits & literal_mask];
  do {
    FILL();
    if (entry & INFLATE_LITERAL) {
      DROP(entry);
      PUT(entry);
      entry = literals[bits & literal_mask];
      if (entry & INFLATE_LITERAL) {
        DROP(entry);
        PUT(entry);
        entry = literals[bits & literal_mask];
        if (entry & INFLATE_LITERAL) {
          DROP(entry);
          PUT(entry);
          entry = literals[bits & literal_mask];
          continue;
        }
      }
    }
    if (entry & (INFLATE_BEHIND | INFLATE_STOP)) {
      if (entry & INFLATE_BEHIND) {
        DROP(entry);
        entry = literals[(entry >> 16) + (bits & ((1u << inflate_code_bits(entry)) - 1))];
        if (entry & INFLATE_LITERAL) {
          DROP(entry);
          PUT(entry);
          FILL();
          entry = literals[bits & literal_mask];
          continue;
        }
      }
      if (entry & INFLATE_STOP) {
        DROP(entry);
        result = entry >> 16 ? INFLATE_DAMAGED : INFLATE_END;
        break;
      }
    }
    size_t length = (entry >> 16) + inflate_extra(bits, entry);
    DROP(entry);
    FILL();
    entry = distances[bits & distance_mask];
    if (entry & (INFLATE_BEHIND | INFLATE_STOP)) {
      if (entry & INFLATE_BEHIND) {
        DROP(entry);
        entry = distances[(entry >> 16) + (bits & ((1u << inflate_code_bits(entry)) - 1))];
      }
      if (entry & INFLATE_STOP) {
        result = INFLATE_DAMAGED;
        break;
      }
    }
    size_t distance = (entry >> 16) + inflate_extra(bits, entry);
    DROP(entry);
    if (distance > (size_t)(out - io->history)) {
      result = INFLATE_DAMAGED;
      break;
    }
    entry = literals[bits & literal_mask];
    copy_match(out, distance, length);
    out += length;
  } while (in < in_limit && out < out_limit);

  inflate->bits = bits;
  inflate->count = count & 63;
  io->in = in;
  io->out = out;
  return result;
}

#if defined(__x86_64__)
__attribute__((target("bmi,bmi2"))) static enum inflate_result run_bmi2(struct inflate *inflate, struct inflate_io *io) {
  return run(inflate, io);
}

enum inflate_result inflate_fast(struct inflate *inflate, struct inflate_io *io) {
  return __builtin_cpu_supports("bmi2") ? run_bmi2(inflate, io) : run(inflate, io);
}
#else
enum inflate_result inflate_fast(struct inflate *inflate, struct inflate_io *io) { return run(inflate, io); }
#endif
