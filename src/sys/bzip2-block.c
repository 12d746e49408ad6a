/* Symbols of a block of bzip2, from bits to the last column: see bzip2-block.h. */
#include "bzip2-block.h"

#include <endian.h>
#include <string.h>

enum {
  ROOT_BITS = 10,
  MAX_CODE_BITS = 20,
  MAX_SYMBOLS = 258,
  MAX_TABLES = 6,
  MAX_SELECTORS = 18002,
  GROUP = 50,
  WORD = 8, /* bytes, and the first values, that one register holds */
  NO_SYMBOL = 0xffff,
};

/* Bits from the left, at least 56 of them after `fill`; behind the end there are zeros. */
struct bits {
  const uint8_t *bytes;
  size_t next, length;
  uint64_t window;
  unsigned count;
};

struct code {
  uint16_t root[1 << ROOT_BITS];        /* symbol << 5 | bits; 0 for what is longer */
  uint32_t limits[MAX_CODE_BITS + 2];   /* the first code of that length that is none */
  int32_t offsets[MAX_CODE_BITS + 1];   /* from a code to its place in the order */
  uint16_t order[MAX_SYMBOLS];
  unsigned longest;
};

struct reader {
  struct bits bits;
  struct code codes[MAX_TABLES];
  uint8_t selectors[MAX_SELECTORS];
  unsigned tables, symbols;
  uint32_t selected;
  uint8_t values[256];
};

static inline uint64_t word_at(const uint8_t *bytes) {
  uint64_t word;
  memcpy(&word, bytes, sizeof word);
  return be64toh(word);
}

static inline void fill(struct bits *bits) {
  if (bits->next + sizeof bits->window <= bits->length) {
    bits->window |= word_at(bits->bytes + bits->next) >> bits->count;
    bits->next += (63 - bits->count) / 8;
    bits->count |= 56;
    return;
  }
  for (; bits->count <= 56; bits->count += 8, bits->next++)
    if (bits->next < bits->length) bits->window |= (uint64_t)bits->bytes[bits->next] << (56 - bits->count);
}

static inline void skip(struct bits *bits, unsigned count) {
  bits->window <<= count;
  bits->count -= count;
}

/* Up to 32. */
static uint32_t take(struct bits *bits, unsigned count) {
  fill(bits);
  uint32_t value = bits->window >> (64 - count);
  skip(bits, count);
  return value;
}

/* The values that occur, in their order. */
static unsigned read_values(struct bits *bits, uint8_t *values) {
  unsigned count = 0;
  uint32_t sixteens = take(bits, 16);
  for (unsigned high = 0; high < 16; high++) {
    uint32_t lows = sixteens >> (15 - high) & 1 ? take(bits, 16) : 0;
    for (unsigned low = 0; low < 16; low++)
      if (lows >> (15 - low) & 1) values[count++] = high * 16 + low;
  }
  return count;
}

/* More than any block needs are read, and not kept, as bzip2 does. */
static bool read_selectors(struct reader *reader) {
  uint8_t order[MAX_TABLES] = {0, 1, 2, 3, 4, 5};
  uint32_t count = take(&reader->bits, 15);
  if (count == 0) return false;
  for (uint32_t index = 0; index < count; index++) {
    fill(&reader->bits);
    unsigned place = 0;
    while (place < reader->tables && reader->bits.window >> (63 - place) & 1) place++;
    if (place == reader->tables) return false;
    skip(&reader->bits, place + 1);
    uint8_t table = order[place];
    memmove(order + 1, order, place);
    order[0] = table;
    if (index < MAX_SELECTORS) reader->selectors[index] = table;
  }
  reader->selected = count < MAX_SELECTORS ? count : MAX_SELECTORS;
  return true;
}

static bool read_lengths(struct bits *bits, unsigned symbols, uint8_t *lengths) {
  unsigned length = take(bits, 5);
  for (unsigned symbol = 0; symbol < symbols; symbol++) {
    for (;;) {
      if (length < 1 || length > MAX_CODE_BITS) return false;
      fill(bits);
      if (!(bits->window >> 63)) break;
      length += bits->window >> 62 & 1 ? -1 : 1;
      skip(bits, 2);
    }
    skip(bits, 1);
    lengths[symbol] = length;
  }
  return true;
}

/* Codes may be missing, which matters only when one comes, and too many, of which the later are never reached. */
static void make_code(struct code *code, const uint8_t *lengths, unsigned symbols) {
  uint32_t next = 0, place = 0;
  memset(code->root, 0, sizeof code->root);
  code->longest = 0;
  for (unsigned length = 1; length <= MAX_CODE_BITS; length++, next <<= 1) {
    code->offsets[length] = (int32_t)place - (int32_t)next;
    for (unsigned symbol = 0; symbol < symbols; symbol++) {
      if (lengths[symbol] != length) continue;
      code->order[place++] = symbol;
      code->longest = length;
      if (length > ROOT_BITS || next >> length) {
        next++;
        continue;
      }
      uint16_t *slots = code->root + ((size_t)next++ << (ROOT_BITS - length));
      for (unsigned slot = 0; slot < 1u << (ROOT_BITS - length); slot++) slots[slot] = symbol << 5 | length;
    }
    code->limits[length] = next;
  }
}

static bool read_codes(struct reader *reader) {
  uint8_t lengths[MAX_SYMBOLS];
  for (unsigned table = 0; table < reader->tables; table++) {
    if (!read_lengths(&reader->bits, reader->symbols, lengths)) return false;
    make_code(&reader->codes[table], lengths, reader->symbols);
  }
  return true;
}

/* One that is longer than the root. */
static unsigned long_symbol(struct bits *bits, const struct code *code) {
  for (unsigned length = ROOT_BITS + 1; length <= code->longest; length++) {
    uint32_t value = bits->window >> (64 - length);
    if (value >= code->limits[length]) continue;
    skip(bits, length);
    return code->order[(int32_t)value + code->offsets[length]];
  }
  return NO_SYMBOL;
}

static inline unsigned next_symbol(struct bits *bits, const struct code *code) {
  fill(bits);
  unsigned slot = code->root[bits->window >> (64 - ROOT_BITS)];
  if (!slot) return long_symbol(bits, code);
  skip(bits, slot & 31);
  return slot >> 5;
}

/* Values by how long ago they came: the first eight in a register, the lowest byte first, the others behind them. */
struct recent {
  uint64_t first;
  uint8_t others[256 - WORD];
};

static void begin_recent(struct recent *recent, const uint8_t *values) {
  recent->first = 0;
  for (int index = 0; index < WORD; index++) recent->first |= (uint64_t)values[index] << index * 8;
  memcpy(recent->others, values + WORD, sizeof recent->others);
}

static inline uint8_t move_to_front(struct recent *recent, unsigned place) {
  uint64_t first = recent->first;
  if (place < WORD) {
    uint64_t behind = ~UINT64_C(0xff) << place * 8;
    uint8_t value = first >> place * 8;
    recent->first = (first & behind) | (first << 8 & ~behind) | value;
    return value;
  }
  uint8_t *others = recent->others;
  uint8_t value = others[place - WORD];
  memmove(others + 1, others, place - WORD);
  others[0] = first >> 56;
  recent->first = first << 8 | value;
  return value;
}

/* All symbols up to the one of the end, which stops exactly at the next mark. */
static bool read_column(struct reader *reader, struct bzip2_block *block, int64_t to, uint32_t most) {
  struct bits bits = reader->bits;
  struct recent recent;
  begin_recent(&recent, reader->values);
  const unsigned end = reader->symbols - 1;
  uint32_t length = 0, run = 0, weight = 1;
  uint8_t *const text = block->text;
  for (uint32_t group = 0; group < reader->selected; group++) {
    const struct code *code = &reader->codes[reader->selectors[group]];
    for (int index = 0; index < GROUP; index++) {
      unsigned symbol = next_symbol(&bits, code);
      if (symbol < 2) { /* digits of how often the first is repeated, the lowest first */
        run += weight << symbol;
        weight <<= 1;
        if (run > most - length) return false;
        continue;
      }
      if (run) {
        memset(text + length, recent.first & 0xff, run);
        length += run;
        run = 0;
        weight = 1;
      }
      if (symbol >= end) {
        block->length = length;
        return symbol == end && (int64_t)(bits.next * 8) - bits.count == to;
      }
      if (length == most) return false;
      text[length++] = move_to_front(&recent, symbol - 1);
    }
    if ((int64_t)(bits.next * 8) - bits.count > to) return false;
  }
  return false;
}

bool bzip2_read_block(struct bzip2_block *block, const uint8_t *bytes, int64_t from, int64_t to, uint32_t most) {
  struct reader reader;
  reader.bits = (struct bits){.bytes = bytes, .next = from / 8, .length = (to + 7) / 8};
  *block = (struct bzip2_block){.text = block->text, .computed = UINT32_MAX};
  take(&reader.bits, 16 + from % 8);
  take(&reader.bits, BZIP2_MARK_BITS - 16);
  block->checksum = take(&reader.bits, BZIP2_CRC_BITS);
  block->isRandomised = take(&reader.bits, 1);
  block->origin = take(&reader.bits, 24);
  memset(reader.values, 0, sizeof reader.values);
  unsigned values = read_values(&reader.bits, reader.values);
  reader.symbols = values + 2;
  reader.tables = take(&reader.bits, 3);
  return values > 0 && reader.tables >= 2 && reader.tables <= MAX_TABLES && read_selectors(&reader) &&
         read_codes(&reader) && read_column(&reader, block, to, most) && block->origin < block->length;
}
