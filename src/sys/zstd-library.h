/* What is needed of libzstd's interface, the same since 1.4.0. */
#ifndef ZSTD_LIBRARY_H
#define ZSTD_LIBRARY_H
#include <stdbool.h>
#include <stddef.h>

/* ZSTD_inBuffer and ZSTD_outBuffer of zstd.h. */
struct zstd_input {
  const void *src;
  size_t size, pos;
};
struct zstd_output {
  void *dst;
  size_t size, pos;
};

/* ZSTD_dParameter; those of encoders stand in zstd-codec.ts. */
enum { ZSTD_d_windowLogMax = 100 };

/* ZSTD_customMem. */
struct zstd_memory {
  void *(*get)(void *opaque, size_t length);
  void (*put)(void *opaque, void *start);
  void *opaque;
};

extern struct zstd_calls {
  unsigned (*is_error)(size_t code);
  void *(*create_decoder)(void);
  size_t (*free_decoder)(void *decoder);
  size_t (*set_decoder)(void *decoder, int parameter, int value);
  size_t (*decode)(void *decoder, struct zstd_output *output, struct zstd_input *input);
  size_t (*begin)(void *decoder);
  size_t (*next)(void *decoder);
  size_t (*proceed)(void *decoder, void *to, size_t room, const void *from, size_t length);
  void *(*create_encoder)(void);
  void *(*create_encoder_in)(struct zstd_memory memory); /* NULL where it is not shown */
  size_t (*free_encoder)(void *encoder);
  size_t (*set_encoder)(void *encoder, int parameter, int value);
  size_t (*encode)(void *encoder, void *to, size_t room, const void *from, size_t length);
} zstd;

/* False where there is none. */
bool open_zstd(void);
#endif
