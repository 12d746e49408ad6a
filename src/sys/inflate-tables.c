/* Tables of prefix codes from lengths of codes: see inflate-tables.h. */
#include "inflate-tables.h"

#include <string.h>

uint32_t inflate_fixed_literals[1 << INFLATE_LITERAL_BITS];
uint32_t inflate_fixed_distances[1 << INFLATE_DISTANCE_BITS];

/* RFC 1951, 3.2.5: entries without the bits of a code. */
static uint32_t literal_entries[INFLATE_FIXED_LITERALS], distance_entries[INFLATE_FIXED_DISTANCES];
static uint32_t precode_entries[INFLATE_PRECODES];

/* What is built: `sorted` has the symbols that have a code in the order of their codes. */
struct code {
  uint32_t *table;
  const uint32_t *entries;
  unsigned table_bits, symbol_count, longest;
  uint16_t counts[INFLATE_MAX_BITS + 1];
  uint16_t sorted[INFLATE_FIXED_LITERALS];
};

static uint32_t with_bits(uint32_t entry, unsigned bits) {
  return entry + bits * (1 + (1 << 8));
}

/* What is left of all codes when these lengths are taken: less than 0 if there are too many. */
static int sort(struct code *code, const uint8_t *lengths, unsigned count) {
  uint16_t next[INFLATE_MAX_BITS + 2] = {0};
  memset(code->counts, 0, sizeof code->counts);
  for (unsigned symbol = 0; symbol < count; symbol++) code->counts[lengths[symbol]]++;
  int left = 1;
  code->longest = 0;
  for (unsigned bits = 1; bits <= INFLATE_MAX_BITS; bits++) {
    left = left * 2 - code->counts[bits];
    if (left < 0) return left;
    if (code->counts[bits] > 0) code->longest = bits;
    next[bits + 1] = next[bits] + code->counts[bits];
  }
  code->symbol_count = count - code->counts[0];
  for (unsigned symbol = 0; symbol < count; symbol++)
    if (lengths[symbol] > 0) code->sorted[next[lengths[symbol]]++] = symbol;
  return left;
}

/* The next code of as many bits, the first of which is the lowest. */
static unsigned next_code(unsigned value, unsigned bits) {
  unsigned ones = value ^ ((1u << bits) - 1);
  if (ones == 0) return 0;
  unsigned highest = 1u << (31 - __builtin_clz(ones));
  return (value & (highest - 1)) | highest;
}

/* Bits beyond the first table's that the codes need which begin as this one; as many of its length are left. */
static unsigned bits_behind(const struct code *code, unsigned bits, unsigned same) {
  unsigned behind = bits - code->table_bits;
  for (int left = (1 << behind) - (int)same; left > 0; left = left * 2 - code->counts[code->table_bits + behind]) behind++;
  return behind;
}

/* Codes that are longer than the first table's bits, `index` being the first of them. */
static void fill_behind(struct code *code, unsigned index, unsigned value) {
  unsigned mask = (1u << code->table_bits) - 1, prefix = mask + 1, behind = 0, room = mask + 1, start = 0;
  for (unsigned bits = code->table_bits + 1; bits <= code->longest; bits++)
    for (unsigned same = code->counts[bits]; same > 0; same--, index++) {
      if ((value & mask) != prefix) {
        prefix = value & mask;
        start = room;
        behind = bits_behind(code, bits, same);
        room += 1u << behind;
        code->table[prefix] = start << 16 | INFLATE_BEHIND | behind << 8 | code->table_bits;
      }
      unsigned own = bits - code->table_bits;
      uint32_t entry = with_bits(code->entries[code->sorted[index]], own);
      for (unsigned at = value >> code->table_bits; at < 1u << behind; at += 1u << own) code->table[start + at] = entry;
      value = next_code(value, bits);
    }
}

/* A complete code: what has fewer bits than the table is there once, and twice with each bit more. */
static void fill(struct code *code) {
  unsigned index = 0, value = 0;
  for (unsigned bits = 1; bits <= code->table_bits; bits++) {
    unsigned size = 1u << bits;
    if (index > 0) memcpy(code->table + size / 2, code->table, size / 2 * sizeof *code->table);
    for (unsigned same = code->counts[bits]; same > 0; same--) {
      code->table[value] = with_bits(code->entries[code->sorted[index++]], bits);
      value = next_code(value, bits);
    }
  }
  if (index < code->symbol_count) fill_behind(code, index, value);
}

/* No code, or one of one bit: whatever else comes is none. */
static void fill_single(struct code *code, uint32_t none) {
  for (unsigned at = 0; at < 1u << code->table_bits; at++) code->table[at] = with_bits(none, 1);
  if (code->symbol_count == 0) return;
  uint32_t entry = with_bits(code->entries[code->sorted[0]], 1);
  for (unsigned at = 0; at < 1u << code->table_bits; at += 2) code->table[at] = entry;
}

static bool build(struct code *code, const uint8_t *lengths, unsigned count) {
  int left = sort(code, lengths, count);
  if (left < 0 || (left > 0 && code->longest > 1)) return false;
  if (left > 0) fill_single(code, INFLATE_NO_CODE);
  else fill(code);
  return true;
}

bool inflate_precode_table(uint32_t *table, const uint8_t *lengths) {
  struct code code = {.table = table, .entries = precode_entries, .table_bits = INFLATE_PRECODE_BITS};
  int left = sort(&code, lengths, INFLATE_PRECODES);
  if (left < 0 || (left > 0 && code.longest > 0)) return false;
  /* No code at all says nothing but lengths of 0, which are refused when all are there. */
  if (left > 0) fill_single(&code, 0);
  else fill(&code);
  return true;
}

bool inflate_literal_table(uint32_t *table, const uint8_t *lengths, unsigned count) {
  struct code code = {.table = table, .entries = literal_entries, .table_bits = INFLATE_LITERAL_BITS};
  return build(&code, lengths, count);
}

bool inflate_distance_table(uint32_t *table, const uint8_t *lengths, unsigned count) {
  struct code code = {.table = table, .entries = distance_entries, .table_bits = INFLATE_DISTANCE_BITS};
  return build(&code, lengths, count);
}

static void make_length_entries(void) {
  unsigned least = 3, symbol = INFLATE_END_OF_BLOCK + 1;
  for (; symbol < INFLATE_LITERALS - 1; symbol++) {
    unsigned group = (symbol - INFLATE_END_OF_BLOCK - 1) / 4, extra = group > 0 ? group - 1 : 0;
    literal_entries[symbol] = least << 16 | extra;
    least += 1u << extra;
  }
  literal_entries[symbol++] = 258 << 16;
  for (; symbol < INFLATE_FIXED_LITERALS; symbol++) literal_entries[symbol] = INFLATE_NO_CODE;
}

__attribute__((constructor)) static void make_entries(void) {
  for (unsigned symbol = 0; symbol < INFLATE_END_OF_BLOCK; symbol++)
    literal_entries[symbol] = symbol << 16 | INFLATE_LITERAL;
  literal_entries[INFLATE_END_OF_BLOCK] = INFLATE_STOP;
  make_length_entries();
  unsigned least = 1;
  for (unsigned symbol = 0; symbol < INFLATE_FIXED_DISTANCES; symbol++) {
    unsigned extra = symbol < 2 ? 0 : symbol / 2 - 1;
    distance_entries[symbol] = symbol < INFLATE_DISTANCES ? least << 16 | extra : INFLATE_NO_CODE;
    least += 1u << extra;
  }
  for (unsigned symbol = 0; symbol < INFLATE_PRECODES; symbol++) precode_entries[symbol] = symbol << 16;
  uint8_t lengths[INFLATE_FIXED_LITERALS];
  for (unsigned symbol = 0; symbol < INFLATE_FIXED_LITERALS; symbol++)
    lengths[symbol] = symbol < 144 ? 8 : symbol < 256 ? 9 : symbol < 280 ? 7 : 8;
  inflate_literal_table(inflate_fixed_literals, lengths, INFLATE_FIXED_LITERALS);
  memset(lengths, 5, INFLATE_FIXED_DISTANCES);
  inflate_distance_table(inflate_fixed_distances, lengths, INFLATE_FIXED_DISTANCES);
}
