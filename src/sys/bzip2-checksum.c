/* The checksum of bzip2: CRC-32 with the highest bit first, eight bytes in one step. */
#include <string.h>

#include "bzip2-block.h"

enum { STRIDE = 8 };

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

uint32_t bzip2_checksum(uint32_t before, const uint8_t *bytes, size_t length) {
  uint32_t rest = before;
  for (; length >= STRIDE; bytes += STRIDE, length -= STRIDE)
    rest = tables[7][bytes[0] ^ rest >> 24] ^ tables[6][bytes[1] ^ (rest >> 16 & 0xff)] ^
           tables[5][bytes[2] ^ (rest >> 8 & 0xff)] ^ tables[4][bytes[3] ^ (rest & 0xff)] ^ tables[3][bytes[4]] ^
           tables[2][bytes[5]] ^ tables[1][bytes[6]] ^ tables[0][bytes[7]];
  for (; length > 0; length--) rest = rest << 8 ^ tables[0][rest >> 24 ^ *bytes++];
  return rest;
}
