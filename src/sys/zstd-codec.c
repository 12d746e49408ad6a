/*
 * zstd without a stream around it, for src/sys/zstd-codec.ts only: frames decoded in steps, encoded whole. Blocks are decoded
 * to where they are taken from, a ring that holds the window too; the library's own stream copies them out of its ring, a
 * fifth of the time.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sparse-writer.h"
#include "step.h"
#include "zstd-library.h"

/* RFC 8878: what a block holds, packed and not. A header of a frame is shorter. */
enum { BLOCK_BYTES = 128 * 1024 };

enum { PAGE_BYTES = 4096, LARGE_PAGE_BYTES = 2 * 1024 * 1024 };

struct decoder {
  struct step step;
  void *context;
  bool is_begun;
  const uint8_t *input;
  size_t length, taken;
  uint8_t *ring;
  size_t size, position, most;
  size_t held; /* of what lies in more than one input */
  uint8_t part[BLOCK_BYTES];
  uint32_t *report; /* bytes taken, where what was made begins, bytes made */
};

struct encoder {
  struct step step;
  void *context;
  int fd; /* -1: the input is there */
  int64_t offset;
  uint8_t *input, *output;
  size_t length, room;
};

void register_zstd_codec(napi_env env, napi_value exports);

static void finalize_decoder(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  zstd.free_decoder(((struct decoder *)data)->context);
  free(data);
}

static void finalize_encoder(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  zstd.free_encoder(((struct encoder *)data)->context);
  free(data);
}

/* zstdDecoder(): of frames, one after the other; undefined where there is no library or memory. */
static napi_value sys_zstd_decoder(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value result = NULL;
  napi_get_undefined(env, &result);
  if (!open_zstd()) return result;
  struct decoder *decoder = calloc(1, sizeof *decoder);
  if (decoder) decoder->context = zstd.create_decoder();
  if (decoder && decoder->context) napi_create_external(env, decoder, finalize_decoder, NULL, &result);
  else free(decoder);
  return result;
}

/* An encoder looks up its tables and its input all over: in large pages a disk took a twelfth less of processor. */
static void want_large_pages(void *start, size_t length) {
  uintptr_t first = (uintptr_t)start & ~(uintptr_t)(PAGE_BYTES - 1);
  /* What is on the same pages beside it does not mind; a kernel without large pages refuses. */
  madvise((void *)first, (uintptr_t)start + length - first, MADV_HUGEPAGE);
}

static void *get_memory(void *opaque, size_t length) {
  (void)opaque;
  if (length < LARGE_PAGE_BYTES / 4) return malloc(length);
  size_t whole = (length + LARGE_PAGE_BYTES - 1) / LARGE_PAGE_BYTES * LARGE_PAGE_BYTES;
  void *start = aligned_alloc(LARGE_PAGE_BYTES, whole);
  if (start) want_large_pages(start, whole);
  return start;
}

static void put_memory(void *opaque, void *start) {
  (void)opaque;
  free(start);
}

static void *create_context(void) {
  struct zstd_memory memory = {get_memory, put_memory, NULL};
  return zstd.create_encoder_in ? zstd.create_encoder_in(memory) : zstd.create_encoder();
}

/* Pairs of a parameter and its value. Numbers of 1000 and more are not in every version, and not needed. */
static bool set_parameters(void *context, const int32_t (*pairs)[2], size_t count) {
  for (size_t index = 0; index < count; index++) {
    size_t result = zstd.set_encoder(context, pairs[index][0], pairs[index][1]);
    if (zstd.is_error(result) && pairs[index][0] < 1000) return false;
  }
  return true;
}

/* zstdEncoder(parameters): an encoder of frames; undefined where there is no library or memory. */
static napi_value sys_zstd_encoder(napi_env env, napi_callback_info info) {
  napi_value result = NULL;
  napi_value value = NULL;
  size_t count = 1, length = 0;
  void *pairs = NULL;
  napi_get_undefined(env, &result);
  if (napi_get_cb_info(env, info, &count, &value, NULL, NULL) != napi_ok || count != 1 ||
      napi_get_buffer_info(env, value, &pairs, &length) != napi_ok || (uintptr_t)pairs % _Alignof(int32_t) || !open_zstd())
    return result;
  struct encoder *encoder = calloc(1, sizeof *encoder);
  if (encoder) encoder->context = create_context();
  if (encoder && encoder->context && set_parameters(encoder->context, pairs, length / sizeof(int32_t[2])))
    napi_create_external(env, encoder, finalize_encoder, NULL, &result);
  else if (encoder) finalize_encoder(env, encoder, NULL);
  return result;
}

/* wantLargePages(buffer): before it is first used; only an advice. */
static napi_value sys_want_large_pages(napi_env env, napi_callback_info info) {
  napi_value value = NULL;
  size_t count = 1, length = 0;
  void *start = NULL;
  if (napi_get_cb_info(env, info, &count, &value, NULL, NULL) == napi_ok && count == 1 &&
      napi_get_buffer_info(env, value, &start, &length) == napi_ok && length > 0)
    want_large_pages(start, length);
  return NULL;
}

/* The next so many bytes of the frame, in one piece; NULL when they have not all come. */
static const uint8_t *next_part(struct decoder *decoder, size_t length) {
  const uint8_t *input = decoder->input + decoder->taken;
  size_t there = decoder->length - decoder->taken;
  if (decoder->held == 0 && there >= length) {
    decoder->taken += length;
    return input;
  }
  size_t count = length - decoder->held < there ? length - decoder->held : there;
  memcpy(decoder->part + decoder->held, input, count);
  decoder->taken += count;
  decoder->held += count;
  if (decoder->held < length) return NULL;
  decoder->held = 0;
  return decoder->part;
}

static int64_t decode_blocks(struct decoder *decoder, size_t *made) {
  for (;;) {
    size_t length = zstd.next(decoder->context);
    if (length == 0) return 0;
    if (*made + BLOCK_BYTES > decoder->most || decoder->size - decoder->position < BLOCK_BYTES) return 1;
    const uint8_t *part = length <= BLOCK_BYTES ? next_part(decoder, length) : NULL;
    if (!part) return length <= BLOCK_BYTES ? 1 : -EBADMSG;
    size_t count = zstd.proceed(decoder->context, decoder->ring + decoder->position, BLOCK_BYTES, part, length);
    if (zstd.is_error(count)) return -EBADMSG;
    decoder->position += count;
    *made += count;
  }
}

/* 0 at the end of a frame, 1 before it, and a negative errno for what is no frame. */
static int64_t decode(struct step *step) {
  struct decoder *decoder = (struct decoder *)step;
  size_t made = 0;
  if (!decoder->is_begun) {
    if (zstd.is_error(zstd.begin(decoder->context))) return -EBADMSG;
    decoder->held = 0;
  }
  /* What is made lies in one piece. */
  if (decoder->size - decoder->position < BLOCK_BYTES) decoder->position = 0;
  decoder->report[1] = decoder->position;
  int64_t result = decode_blocks(decoder, &made);
  decoder->is_begun = result > 0;
  decoder->report[0] = decoder->taken;
  decoder->report[2] = made;
  return result;
}

/* zstdDecode(decoder, input, ring, most, report): a promise of what `decode` returns. It makes up to so many bytes, a block
   at least, at the next place of the ring, one for all of a frame and larger than its window by two blocks. One step at
   a time. */
static napi_value sys_zstd_decode(napi_env env, napi_callback_info info) {
  enum { DECODER, INPUT, RING, REPORT, MOST, ALL };
  napi_value values[ALL];
  size_t count = ALL, lengths[ALL];
  void *starts[ALL], *data = NULL;
  uint32_t most = 0;
  bool isGood = napi_get_cb_info(env, info, &count, values, NULL, NULL) == napi_ok && count == ALL &&
                napi_get_value_external(env, values[DECODER], &data) == napi_ok &&
                napi_get_value_uint32(env, values[MOST], &most) == napi_ok && most >= BLOCK_BYTES;
  for (int index = INPUT; isGood && index <= REPORT; index++)
    isGood = napi_get_buffer_info(env, values[index], &starts[index], &lengths[index]) == napi_ok;
  struct decoder *decoder = data;
  isGood = isGood && !decoder->step.work && lengths[REPORT] >= 3 * sizeof *decoder->report &&
           (uintptr_t)starts[REPORT] % _Alignof(uint32_t) == 0 && lengths[INPUT] <= UINT32_MAX &&
           lengths[RING] >= 2 * BLOCK_BYTES && lengths[RING] <= UINT32_MAX &&
           (!decoder->is_begun || (starts[RING] == decoder->ring && lengths[RING] == decoder->size));
  if (!isGood) {
    napi_throw_type_error(env, NULL, "zstdDecode takes an idle decoder, an input, the ring of the frame, and room to report");
    return NULL;
  }
  decoder->input = starts[INPUT];
  decoder->length = lengths[INPUT];
  decoder->taken = 0;
  if (decoder->ring != starts[RING] || decoder->size != lengths[RING]) decoder->position = 0;
  decoder->ring = starts[RING];
  decoder->size = lengths[RING];
  decoder->most = most;
  decoder->report = starts[REPORT];
  decoder->step.run = decode;
  return start_step(env, &decoder->step, "imgctl:zstdDecode", values, MOST);
}

static int fill(struct encoder *encoder) {
  for (size_t done = 0; done < encoder->length;) {
    ssize_t count = pread(encoder->fd, encoder->input + done, encoder->length - done, encoder->offset + done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return count < 0 ? errno : ENODATA;
    done += count;
  }
  return 0;
}

static int64_t encode(struct step *step) {
  struct encoder *encoder = (struct encoder *)step;
  if (encoder->fd >= 0) {
    int error = fill(encoder);
    if (error) return -error;
    if (encoder->length > 0 && is_zero(encoder->input, encoder->length)) return 0;
  }
  size_t made = zstd.encode(encoder->context, encoder->output, encoder->room, encoder->input, encoder->length);
  return zstd.is_error(made) ? -ENOMEM : (int64_t)made;
}

/* zstdEncode(encoder, input, output, fd, offset): a promise of the length of the frame, or a negative errno: ENODATA if
   the file ends early. With a descriptor, not -1, the input is read from there first, and there is no frame, 0, where it
   is nothing but zeros: the copied disk of 1 GiB has 400 MiB of them. One step at a time. */
static napi_value sys_zstd_encode(napi_env env, napi_callback_info info) {
  enum { ENCODER, INPUT, OUTPUT, FD, OFFSET, ALL };
  napi_value values[ALL];
  size_t count = ALL, length = 0, room = 0;
  void *data = NULL, *input = NULL, *output = NULL;
  int32_t fd = -1;
  int64_t offset = 0;
  bool isGood = napi_get_cb_info(env, info, &count, values, NULL, NULL) == napi_ok && count == ALL &&
                napi_get_value_external(env, values[ENCODER], &data) == napi_ok &&
                napi_get_buffer_info(env, values[INPUT], &input, &length) == napi_ok &&
                napi_get_buffer_info(env, values[OUTPUT], &output, &room) == napi_ok &&
                napi_get_value_int32(env, values[FD], &fd) == napi_ok &&
                napi_get_value_int64(env, values[OFFSET], &offset) == napi_ok;
  struct encoder *encoder = data;
  if (!isGood || encoder->step.work) {
    napi_throw_type_error(env, NULL, "zstdEncode takes an idle encoder, two buffers and two numbers");
    return NULL;
  }
  encoder->input = input;
  encoder->length = length;
  encoder->output = output;
  encoder->room = room;
  encoder->fd = fd;
  encoder->offset = offset;
  encoder->step.run = encode;
  return start_step(env, &encoder->step, "imgctl:zstdEncode", values, OUTPUT + 1);
}

void register_zstd_codec(napi_env env, napi_value exports) {
  static const struct export calls[] = {{"zstdDecoder", sys_zstd_decoder},
                                        {"zstdDecode", sys_zstd_decode},
                                        {"zstdEncoder", sys_zstd_encoder},
                                        {"wantLargePages", sys_want_large_pages},
                                        {"zstdEncode", sys_zstd_encode}};
  export_calls(env, exports, calls, sizeof calls / sizeof *calls);
}
