/* CRC-32 as gzip has it (RFC 1952, 8). */
#ifndef GZIP_CHECKSUM_H
#define GZIP_CHECKSUM_H
#include <stddef.h>
#include <stdint.h>

/* Of what the first checksum is of, 0 for nothing, and these bytes behind it. */
uint32_t gzip_checksum(uint32_t checksum, const uint8_t *bytes, size_t length);
#endif
