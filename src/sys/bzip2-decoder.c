/*
 * Single blocks of bzip2 by libbz2 of the system, on other threads, for src/sys/bzip2-decoder.ts only. Blocks depend on
 * nothing before them, but begin at any bit: they are found by their mark and wrapped as streams of one block. What is
 * needed of the library's interface (the same since 1.0) is declared here, as in xz-decoder.c.
 */
#define _GNU_SOURCE
#define NAPI_VERSION 9
#include <dlfcn.h>
#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* bz_stream of bzlib.h. */
struct stream {
  char *next_in;
  unsigned avail_in, total_in[2];
  char *next_out;
  unsigned avail_out, total_out[2];
  void *state, *alloc, *free, *opaque;
};

enum { BZ_OK = 0, BZ_IO_ERROR = -6, MARK_BITS = 48, CRC_BITS = 32, HEAD_BYTES = 4 };

static const uint64_t block_mark = 0x314159265359, end_mark = 0x177245385090;

static struct {
  int (*init)(struct stream *, int verbosity, int small);
  int (*decompress)(struct stream *);
  int (*end)(struct stream *);
} bz;

enum { OUTPUT, REPORT, BUFFERS };

/* One block, and the one step of it that may run at a time. */
struct decoder {
  struct stream stream;
  napi_async_work work;
  napi_deferred deferred;
  napi_ref references[BUFFERS + 1]; /* keep buffers and decoder until the end of the step */
  uint32_t *report;                 /* bytes made */
  unsigned out;
  int result;
  char *packed; /* gone once the block has ended: memory is not left until somebody collects what is not used */
};

void register_bzip2_decoder(napi_env env, napi_value exports);

static bool open_library(void) {
  static bool isOpen;
  if (isOpen) return true;
  void *library = dlopen("libbz2.so.1.0", RTLD_NOW | RTLD_LOCAL);
  if (!library) library = dlopen("libbz2.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) return false;
  *(void **)&bz.init = dlsym(library, "BZ2_bzDecompressInit");
  *(void **)&bz.decompress = dlsym(library, "BZ2_bzDecompress");
  *(void **)&bz.end = dlsym(library, "BZ2_bzDecompressEnd");
  isOpen = bz.init && bz.decompress && bz.end;
  return isOpen;
}

static napi_value number_of(napi_env env, int64_t value) {
  napi_value result = NULL;
  napi_create_int64(env, value, &result);
  return result;
}

/* For every byte the alignments, a bit each, at which it can be the third of a mark: for most there are none. A mark
   at bit 8q + r has of its bits 16 - r to 24 - r in byte q + 2. */
static const uint8_t *alignments(void) {
  static uint8_t table[256];
  static bool isMade;
  for (int shift = 0; !isMade && shift < 8; shift++) {
    table[block_mark >> (24 + shift) & 0xff] |= 1 << shift;
    table[end_mark >> (24 + shift) & 0xff] |= 1 << shift;
  }
  isMade = true;
  return table;
}

static uint64_t bits_at(const uint8_t *bytes, size_t length, int64_t bit, int count) {
  uint64_t value = 0;
  for (int64_t index = bit / 8; index <= (bit + count - 1) / 8; index++)
    value = value << 8 | (index < (int64_t)length ? bytes[index] : 0);
  int behind = 7 - (bit + count - 1) % 8;
  return value >> behind & ((UINT64_C(1) << count) - 1);
}

/* bzip2Find(bytes, from): the first mark at or behind that bit that lies wholly inside, as its bit times two, and one
   more if it ends a stream; -1 if there is none. */
static napi_value sys_bzip2_find(napi_env env, napi_callback_info info) {
  napi_value values[2];
  size_t count = 2, length = 0;
  void *data = NULL;
  int64_t from = 0;
  if (napi_get_cb_info(env, info, &count, values, NULL, NULL) != napi_ok || count != 2 ||
      napi_get_buffer_info(env, values[0], &data, &length) != napi_ok ||
      napi_get_value_int64(env, values[1], &from) != napi_ok || from < 0)
    return number_of(env, -1);
  const uint8_t *bytes = data, *table = alignments();
  for (size_t offset = from / 8 + 2; offset < length; offset++) {
    unsigned shifts = table[bytes[offset]];
    for (int shift = 0; shifts >> shift; shift++) {
      int64_t bit = ((int64_t)offset - 2) * 8 + shift;
      if (!(shifts >> shift & 1) || bit < from || bit + MARK_BITS > (int64_t)length * 8) continue;
      uint64_t found = bits_at(bytes, length, bit, MARK_BITS);
      if (found == block_mark || found == end_mark) return number_of(env, bit * 2 + (found == end_mark));
    }
  }
  return number_of(env, -1);
}

/* The bits from one to another as a stream of one block: behind a head, and before the mark of the end and the block's
   own checksum, which is that of the stream too. */
static void wrap(char *packed, const uint8_t *bytes, size_t length, int64_t from, int64_t to) {
  uint8_t *out = (uint8_t *)memcpy(packed, "BZh9", HEAD_BYTES) + HEAD_BYTES;
  int64_t bit = from;
  for (; bit + 8 <= to; bit += 8) {
    const uint8_t *byte = bytes + bit / 8;
    int shift = bit % 8;
    *out++ = shift ? (uint8_t)(byte[0] << shift | byte[1] >> (8 - shift)) : byte[0];
  }
  int rest = to - bit;
  uint64_t window = rest ? bits_at(bytes, length, bit, rest) : 0;
  uint64_t tail[2] = {end_mark, bits_at(bytes, length, from + MARK_BITS, CRC_BITS)};
  int widths[2] = {MARK_BITS, CRC_BITS};
  for (int part = 0; part < 2; part++)
    for (int index = widths[part] - 1; index >= 0; index--) {
      window = window << 1 | (tail[part] >> index & 1);
      if (++rest == 8) *out++ = window, rest = 0;
    }
  if (rest) *out = window << (8 - rest);
}

static void release(struct decoder *decoder) {
  if (decoder->packed) bz.end(&decoder->stream);
  free(decoder->packed);
  decoder->packed = NULL;
}

static void finalize(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  release(data);
  free(data);
}

/* bzip2Open(bytes, from, to): a decoder of the block between two marks; undefined where there is no library or memory. */
static napi_value sys_bzip2_open(napi_env env, napi_callback_info info) {
  napi_value values[3], result = NULL;
  size_t count = 3, length = 0;
  void *bytes = NULL;
  int64_t from = 0, to = 0;
  napi_get_undefined(env, &result);
  if (napi_get_cb_info(env, info, &count, values, NULL, NULL) != napi_ok || count != 3 ||
      napi_get_buffer_info(env, values[0], &bytes, &length) != napi_ok ||
      napi_get_value_int64(env, values[1], &from) != napi_ok || napi_get_value_int64(env, values[2], &to) != napi_ok ||
      from < 0 || to < from || to > (int64_t)length * 8 || !open_library())
    return result;
  size_t size = HEAD_BYTES + (to - from + MARK_BITS + CRC_BITS + 7) / 8;
  struct decoder *decoder = calloc(1, sizeof *decoder);
  char *packed = size > UINT32_MAX ? NULL : malloc(size);
  if (!decoder || !packed || bz.init(&decoder->stream, 0, 0) != 0) {
    free(decoder);
    free(packed);
    return result;
  }
  decoder->packed = packed;
  wrap(decoder->packed, bytes, length, from, to);
  decoder->stream.next_in = decoder->packed;
  decoder->stream.avail_in = size;
  napi_create_external(env, decoder, finalize, NULL, &result);
  return result;
}

static void execute(napi_env env, void *data) {
  (void)env;
  struct decoder *decoder = data;
  decoder->result = bz.decompress(&decoder->stream);
  if (decoder->result != BZ_OK) release(decoder);
}

static void complete(napi_env env, napi_status status, void *data) {
  struct decoder *decoder = data;
  napi_value result = NULL;
  decoder->report[0] = decoder->out - decoder->stream.avail_out;
  napi_create_int32(env, status == napi_ok ? decoder->result : BZ_IO_ERROR, &result);
  napi_deferred deferred = decoder->deferred;
  napi_ref references[BUFFERS + 1];
  memcpy(references, decoder->references, sizeof references);
  napi_delete_async_work(env, decoder->work);
  decoder->work = NULL;
  napi_resolve_deferred(env, deferred, result);
  for (int index = 0; index <= BUFFERS; index++) napi_delete_reference(env, references[index]);
}

/* bzip2Step(decoder, output, report): a promise of libbz2's result. One step at a time. */
static napi_value sys_bzip2_step(napi_env env, napi_callback_info info) {
  napi_value values[BUFFERS + 1], name = NULL, promise = NULL;
  size_t count = BUFFERS + 1, lengths[BUFFERS];
  void *data = NULL, *starts[BUFFERS];
  bool isGood = napi_get_cb_info(env, info, &count, values, NULL, NULL) == napi_ok && count == BUFFERS + 1 &&
                napi_get_value_external(env, values[0], &data) == napi_ok;
  struct decoder *decoder = data;
  for (int index = 0; isGood && index < BUFFERS; index++)
    isGood = napi_get_buffer_info(env, values[1 + index], &starts[index], &lengths[index]) == napi_ok;
  isGood = isGood && !decoder->work && decoder->packed && lengths[REPORT] >= sizeof *decoder->report &&
           (uintptr_t)starts[REPORT] % _Alignof(uint32_t) == 0 && lengths[OUTPUT] <= UINT32_MAX;
  if (!isGood) {
    napi_throw_type_error(env, NULL, "bzip2Step takes an idle decoder that has not ended and two buffers");
    return NULL;
  }
  decoder->stream.next_out = starts[OUTPUT];
  decoder->stream.avail_out = decoder->out = lengths[OUTPUT];
  decoder->report = starts[REPORT];
  for (int index = 0; index <= BUFFERS; index++)
    napi_create_reference(env, values[index], 1, &decoder->references[index]);
  napi_create_string_utf8(env, "imgctl:bzip2Step", NAPI_AUTO_LENGTH, &name);
  napi_create_promise(env, &decoder->deferred, &promise);
  napi_create_async_work(env, NULL, name, execute, complete, decoder, &decoder->work);
  napi_queue_async_work(env, decoder->work);
  return promise;
}

/* bzip2Library(): whether there is one. */
static napi_value sys_bzip2_library(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value result = NULL;
  napi_get_boolean(env, open_library(), &result);
  return result;
}

void register_bzip2_decoder(napi_env env, napi_value exports) {
  static const struct {
    const char *name;
    napi_callback call;
  } functions[] = {{"bzip2Library", sys_bzip2_library},
                   {"bzip2Find", sys_bzip2_find},
                   {"bzip2Open", sys_bzip2_open},
                   {"bzip2Step", sys_bzip2_step}};
  for (size_t index = 0; index < sizeof functions / sizeof *functions; index++) {
    napi_value function = NULL;
    napi_create_function(env, functions[index].name, NAPI_AUTO_LENGTH, functions[index].call, NULL, &function);
    napi_set_named_property(env, exports, functions[index].name, function);
  }
}
