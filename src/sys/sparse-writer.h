#ifndef SPARSE_WRITER_H
#define SPARSE_WRITER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether all bytes are zeros, as no bytes are. */
bool is_zero(const uint8_t *bytes, size_t length);
/* Writes bytes to their place in a file, but leaves out blocks of zeros, which stay holes. 0 or a negative errno. */
int write_sparse(int fd, const uint8_t *bytes, size_t length, int64_t offset);
#endif
