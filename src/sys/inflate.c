/* Raw deflate: blocks and their headers, and symbols where input or room is short; see inflate.h. */
#include "inflate.h"

#include "inflate-fast.h"

/* In what follows INFLATE_END says that it goes on. */

void inflate_begin(struct inflate *inflate) {
  inflate->bits = inflate->count = 0;
  inflate->phase = INFLATE_HEADER;
  inflate->is_last = false;
}

static void fill(struct inflate *inflate, struct inflate_io *io) {
  if (io->in_end - io->in >= (ptrdiff_t)sizeof inflate->bits) {
    inflate->bits |= inflate_load(io->in) << inflate->count;
    io->in += (63 - inflate->count) >> 3;
    inflate->count |= 56;
    return;
  }
  for (; inflate->count < 56 && io->in < io->in_end; inflate->count += 8)
    inflate->bits |= (uint64_t)*io->in++ << inflate->count;
}

static bool has(struct inflate *inflate, struct inflate_io *io, unsigned count) {
  if (inflate->count < count) fill(inflate, io);
  return inflate->count >= count;
}

static unsigned take(struct inflate *inflate, unsigned count) {
  unsigned value = inflate->bits & ((UINT64_C(1) << count) - 1);
  inflate->bits >>= count;
  inflate->count -= count;
  return value;
}

/* Whole bytes that were not needed: what was held at the beginning was too little for anything, and is used up before. */
static void give_back(struct inflate *inflate, struct inflate_io *io, const uint8_t *first) {
  size_t bytes = inflate->count / 8, there = io->in - first;
  if (bytes > there) bytes = there;
  io->in -= bytes;
  inflate->count -= bytes * 8;
  inflate->bits &= (UINT64_C(1) << inflate->count) - 1;
}

static enum inflate_result begin_block(struct inflate *inflate) {
  static const enum inflate_phase next[] = {INFLATE_STORED_LENGTH, INFLATE_SYMBOLS, INFLATE_COUNTS};
  inflate->is_last = take(inflate, 1);
  unsigned kind = take(inflate, 2);
  if (kind > 2) return INFLATE_DAMAGED;
  inflate->phase = next[kind];
  if (kind == 0) take(inflate, inflate->count % 8);
  inflate->literals = inflate_fixed_literals;
  inflate->distances = inflate_fixed_distances;
  return INFLATE_END;
}

static void end_block(struct inflate *inflate) {
  inflate->phase = inflate->is_last ? INFLATE_OVER : INFLATE_HEADER;
  if (inflate->is_last) take(inflate, inflate->count % 8);
}

static enum inflate_result begin_stored(struct inflate *inflate) {
  unsigned length = take(inflate, 16);
  if (length != (take(inflate, 16) ^ 0xffff)) return INFLATE_DAMAGED;
  inflate->length = length;
  inflate->phase = INFLATE_STORED;
  return INFLATE_END;
}

/* Bits are whole bytes here. */
static enum inflate_result copy_stored(struct inflate *inflate, struct inflate_io *io) {
  for (; inflate->length > 0 && inflate->count > 0 && io->out < io->out_end; inflate->length--)
    *io->out++ = take(inflate, 8);
  if (inflate->count > 0 && inflate->length > 0) return INFLATE_OUTPUT;
  size_t length = inflate->length, there = io->in_end - io->in, room = io->out_end - io->out;
  if (length > there) length = there;
  if (length > room) length = room;
  if (length > 0) {
    /* What lies above the bits are bytes that are passed here. */
    inflate->bits = 0;
    memcpy(io->out, io->in, length);
  }
  io->in += length;
  io->out += length;
  inflate->length -= length;
  if (inflate->length > 0) return io->in == io->in_end ? INFLATE_INPUT : INFLATE_OUTPUT;
  end_block(inflate);
  return INFLATE_END;
}

static enum inflate_result begin_dynamic(struct inflate *inflate) {
  inflate->literal_count = take(inflate, 5) + 257;
  inflate->distance_count = take(inflate, 5) + 1;
  inflate->precode_count = take(inflate, 4) + 4;
  if (inflate->literal_count > INFLATE_LITERALS || inflate->distance_count > INFLATE_DISTANCES) return INFLATE_DAMAGED;
  memset(inflate->precode_lengths, 0, sizeof inflate->precode_lengths);
  inflate->known = 0;
  inflate->phase = INFLATE_PRECODE;
  return INFLATE_END;
}

static enum inflate_result read_precode(struct inflate *inflate, struct inflate_io *io) {
  static const uint8_t order[INFLATE_PRECODES] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
  for (; inflate->known < inflate->precode_count; inflate->known++) {
    if (!has(inflate, io, 3)) return INFLATE_INPUT;
    inflate->precode_lengths[order[inflate->known]] = take(inflate, 3);
  }
  inflate->known = 0;
  inflate->phase = INFLATE_LENGTHS;
  return inflate_precode_table(inflate->precode, inflate->precode_lengths) ? INFLATE_END : INFLATE_DAMAGED;
}

static bool begin_symbols(struct inflate *inflate) {
  const uint8_t *lengths = inflate->lengths;
  inflate->literals = inflate->own_literals;
  inflate->distances = inflate->own_distances;
  inflate->phase = INFLATE_SYMBOLS;
  return lengths[INFLATE_END_OF_BLOCK] > 0 &&
         inflate_literal_table(inflate->own_literals, lengths, inflate->literal_count) &&
         inflate_distance_table(inflate->own_distances, lengths + inflate->literal_count, inflate->distance_count);
}

static enum inflate_result read_lengths(struct inflate *inflate, struct inflate_io *io) {
  static const uint8_t extra[] = {2, 3, 7}, least[] = {3, 3, 11};
  unsigned all = inflate->literal_count + inflate->distance_count, known = inflate->known;
  while (known < all) {
    if (inflate->count < INFLATE_PRECODE_BITS + 7) fill(inflate, io);
    uint32_t entry = inflate->precode[inflate->bits & ((1 << INFLATE_PRECODE_BITS) - 1)];
    unsigned bits = inflate_bits(entry), symbol = entry >> 16;
    unsigned needed = bits + (symbol < 16 ? 0 : extra[symbol - 16]);
    inflate->known = known;
    if (inflate->count < needed) return INFLATE_INPUT;
    take(inflate, bits);
    if (symbol < 16) {
      inflate->lengths[known++] = symbol;
      continue;
    }
    unsigned times = least[symbol - 16] + take(inflate, extra[symbol - 16]);
    if ((symbol == 16 && known == 0) || times > all - known) return INFLATE_DAMAGED;
    memset(inflate->lengths + known, symbol == 16 ? inflate->lengths[known - 1] : 0, times);
    known += times;
  }
  return begin_symbols(inflate) ? INFLATE_END : INFLATE_DAMAGED;
}

/* The entry of what comes next behind so many bits, and the bits that are used up with it. */
static uint32_t look(const struct inflate *inflate, const uint32_t *table, unsigned table_bits, unsigned *used) {
  uint64_t bits = inflate->bits >> *used;
  uint32_t entry = table[bits & ((1 << table_bits) - 1)];
  if (entry & INFLATE_BEHIND) {
    *used += table_bits;
    entry = table[(entry >> 16) + (bits >> table_bits & ((1 << inflate_code_bits(entry)) - 1))];
  }
  *used += inflate_bits(entry);
  return entry;
}

/* One symbol, or none of it. */
static enum inflate_result careful(struct inflate *inflate, struct inflate_io *io) {
  unsigned used = 0;
  fill(inflate, io);
  uint32_t entry = look(inflate, inflate->literals, INFLATE_LITERAL_BITS, &used);
  if (used > inflate->count) return INFLATE_INPUT;
  if (entry & INFLATE_LITERAL) {
    if (io->out == io->out_end) return INFLATE_OUTPUT;
    take(inflate, used);
    *io->out++ = entry >> 16;
    return INFLATE_END;
  }
  if (entry & INFLATE_STOP) {
    take(inflate, used);
    if (entry >> 16) return INFLATE_DAMAGED;
    end_block(inflate);
    return INFLATE_END;
  }
  inflate->length = (entry >> 16) + inflate_extra(inflate->bits >> (used - inflate_bits(entry)), entry);
  entry = look(inflate, inflate->distances, INFLATE_DISTANCE_BITS, &used);
  if (used > inflate->count) return INFLATE_INPUT;
  if (entry & INFLATE_STOP) return INFLATE_DAMAGED;
  inflate->distance = (entry >> 16) + inflate_extra(inflate->bits >> (used - inflate_bits(entry)), entry);
  take(inflate, used);
  if (inflate->distance > (size_t)(io->out - io->history)) return INFLATE_DAMAGED;
  inflate->phase = INFLATE_MATCH;
  return INFLATE_END;
}

static enum inflate_result read_symbols(struct inflate *inflate, struct inflate_io *io) {
  const uint8_t *first = io->in;
  if (io->enough < io->out_end && io->out >= io->enough) return INFLATE_OUTPUT;
  if (io->in_end - io->in < INFLATE_FAST_INPUT || io->out_end - io->out < INFLATE_SLACK) return careful(inflate, io);
  enum inflate_result result = inflate_fast(inflate, io);
  give_back(inflate, io, first);
  if (result == INFLATE_END) end_block(inflate);
  return result == INFLATE_DAMAGED ? result : INFLATE_END;
}

static enum inflate_result copy_match(struct inflate *inflate, struct inflate_io *io) {
  for (; inflate->length > 0; inflate->length--, io->out++) {
    if (io->out == io->out_end) return INFLATE_OUTPUT;
    *io->out = io->out[-(ptrdiff_t)inflate->distance];
  }
  inflate->phase = INFLATE_SYMBOLS;
  return INFLATE_END;
}

static enum inflate_result proceed(struct inflate *inflate, struct inflate_io *io) {
  switch (inflate->phase) {
    case INFLATE_HEADER: return has(inflate, io, 3) ? begin_block(inflate) : INFLATE_INPUT;
    case INFLATE_STORED_LENGTH: return has(inflate, io, 32) ? begin_stored(inflate) : INFLATE_INPUT;
    case INFLATE_STORED: return copy_stored(inflate, io);
    case INFLATE_COUNTS: return has(inflate, io, 14) ? begin_dynamic(inflate) : INFLATE_INPUT;
    case INFLATE_PRECODE: return read_precode(inflate, io);
    case INFLATE_LENGTHS: return read_lengths(inflate, io);
    case INFLATE_SYMBOLS: return read_symbols(inflate, io);
    case INFLATE_MATCH: return copy_match(inflate, io);
    case INFLATE_OVER: break;
  }
  return INFLATE_END;
}

enum inflate_result inflate_run(struct inflate *inflate, struct inflate_io *io) {
  const uint8_t *first = io->in;
  enum inflate_result result;
  do result = proceed(inflate, io);
  while (result == INFLATE_END && inflate->phase != INFLATE_OVER);
  if (result != INFLATE_INPUT) give_back(inflate, io, first);
  return result;
}
