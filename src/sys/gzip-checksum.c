/* CRC-32 by the zlib inside Node where Node shows it, which has instructions for it, else by tables, eight bytes at once. */
#define _GNU_SOURCE
#include "gzip-checksum.h"

#include <dlfcn.h>
#include <pthread.h>

enum { WAYS = 8, POLYNOMIAL = 0xedb88320 };

static unsigned long (*library)(unsigned long checksum, const uint8_t *bytes, unsigned length);
static uint32_t tables[WAYS][256];

static void prepare(void) {
  *(void **)&library = dlsym(RTLD_DEFAULT, "crc32");
  /* It looks then what the processor can do. */
  if (library) library(0, NULL, 0);
  for (unsigned byte = 0; byte < 256; byte++) {
    uint32_t value = byte;
    for (int bit = 0; bit < 8; bit++) value = value >> 1 ^ (value & 1 ? POLYNOMIAL : 0);
    tables[0][byte] = value;
  }
  for (unsigned way = 1; way < WAYS; way++)
    for (unsigned byte = 0; byte < 256; byte++)
      tables[way][byte] = tables[way - 1][byte] >> 8 ^ tables[0][tables[way - 1][byte] & 255];
}

static void prepare_once(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, prepare);
}

uint32_t gzip_checksum_by_table(uint32_t checksum, const uint8_t *bytes, size_t length) {
  prepare_once();
  checksum = ~checksum;
  for (; length >= WAYS; bytes += WAYS, length -= WAYS) {
    uint32_t next = 0;
    for (int way = 0; way < WAYS; way++) {
      uint8_t byte = way < 4 ? bytes[way] ^ checksum >> way * 8 : bytes[way];
      next ^= tables[WAYS - 1 - way][byte];
    }
    checksum = next;
  }
  for (; length > 0; length--) checksum = checksum >> 8 ^ tables[0][(checksum ^ *bytes++) & 255];
  return ~checksum;
}

uint32_t gzip_checksum(uint32_t checksum, const uint8_t *bytes, size_t length) {
  prepare_once();
  if (!library || length == 0) return gzip_checksum_by_table(checksum, bytes, length);
  return library(checksum, bytes, length);
}
