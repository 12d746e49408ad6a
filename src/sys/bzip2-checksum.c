/* The checksum of bzip2: CRC-32 with the highest bit first, sixteen bytes in one step. */
#include <endian.h>
#include <string.h>

#include "bzip2-block.h"

enum { STRIDE = 16 };

static const uint32_t polynomial = 0x04c11db7;
static uint32_t tables[STRIDE][256]; /* what a byte becomes after so many others */

__attribute__((constructor)) static void make_tables(void) {
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t rest = byte << 24;
    for (int bit = 0; bit < 8; bit++) rest = rest << 1 ^ (rest >> 31 ? polynomial : 0);
    tables[0][byte] = rest;
  }
  for (int stride = 1; stride < STRIDE; stride++)
    for (int byte = 0; byte < 256; byte++) {
      uint32_t rest = tables[stride - 1][byte];
      tables[stride][byte] = rest << 8 ^ tables[0][rest >> 24];
    }
}

static inline uint32_t four(const uint32_t (*after)[256], uint32_t bytes) {
  return after[3][bytes >> 24] ^ after[2][bytes >> 16 & 0xff] ^ after[1][bytes >> 8 & 0xff] ^ after[0][bytes & 0xff];
}

static inline uint32_t word_at(const uint8_t *bytes) {
  uint32_t word;
  memcpy(&word, bytes, sizeof word);
  return be32toh(word);
}

uint32_t bzip2_checksum(uint32_t before, const uint8_t *bytes, size_t length) {
  uint32_t rest = before;
  for (; length >= STRIDE; bytes += STRIDE, length -= STRIDE)
    rest = four(tables + 12, rest ^ word_at(bytes)) ^ four(tables + 8, word_at(bytes + 4)) ^
           four(tables + 4, word_at(bytes + 8)) ^ four(tables, word_at(bytes + 12));
  for (; length > 0; length--) rest = rest << 8 ^ tables[0][rest >> 24 ^ *bytes++];
  return rest;
}
