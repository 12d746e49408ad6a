/* What is needed of zlib's interface, the same since 1.2. */
#ifndef ZLIB_LIBRARY_H
#define ZLIB_LIBRARY_H
#include <stdbool.h>
#include <stdint.h>

/* z_stream of zlib.h. */
struct zlib_stream {
  const uint8_t *next_in;
  unsigned avail_in;
  unsigned long total_in;
  uint8_t *next_out;
  unsigned avail_out;
  unsigned long total_out;
  const char *message;
  void *state, *alloc, *free, *opaque;
  int data_type;
  unsigned long adler, reserved;
};

enum { Z_NO_FLUSH = 0, Z_FINISH = 4, Z_OK = 0, Z_STREAM_END = 1, Z_BUF_ERROR = -5 };

extern struct zlib_calls {
  int (*init)(struct zlib_stream *, int window_bits, const char *version, int size);
  int (*reset)(struct zlib_stream *);
  int (*inflate)(struct zlib_stream *, int flush);
  int (*end)(struct zlib_stream *);
} zlib;

/* False where there is none. */
bool open_zlib(void);

/* False if there is no memory; the stream was all zeros. */
bool begin_inflate(struct zlib_stream *stream, int window_bits);
#endif
