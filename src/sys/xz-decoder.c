/*
 * The decoder of the system's liblzma, which is newer than the bundled one by years and twice as fast, for
 * src/sys/xz-decoder.ts only. It is opened when first asked for, and what is needed of its interface (stable since 5.0,
 * threads since 5.4) is declared here, so that neither building nor running needs it to be installed.
 */
#define _GNU_SOURCE
#define NAPI_VERSION 9
#include <dlfcn.h>
#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* lzma_stream of lzma/base.h. */
struct stream {
  const uint8_t *next_in;
  size_t avail_in;
  uint64_t total_in;
  uint8_t *next_out;
  size_t avail_out;
  uint64_t total_out;
  const void *allocator;
  void *internal;
  void *reserved_ptr[4];
  uint64_t seek_pos, reserved_int2;
  size_t reserved_int3, reserved_int4;
  int reserved_enum[2];
};

/* lzma_mt of lzma/container.h. */
struct threads {
  uint32_t flags, threads;
  uint64_t block_size;
  uint32_t timeout, preset;
  const void *filters;
  int check, reserved_enum[3];
  uint32_t reserved_int[4];
  uint64_t memlimit_threading, memlimit_stop, reserved_int7, reserved_int8;
  void *reserved_ptr[4];
};

enum { LZMA_RUN = 0, LZMA_FINISH = 3, LZMA_CONCATENATED = 8, LZMA_PROG_ERROR = 11, FIRST_WITH_THREADS = 50040002 };

static struct {
  uint32_t (*version)(void);
  int (*decoder)(struct stream *, uint64_t memory, uint32_t flags);
  int (*decoder_mt)(struct stream *, const struct threads *);
  int (*code)(struct stream *, int action);
  void (*end)(struct stream *);
} lzma;

enum { INPUT, OUTPUT, REPORT, BUFFERS };

/* One decoder, and the one step of it that may run at a time. */
struct decoder {
  struct stream stream;
  napi_async_work work;
  napi_deferred deferred;
  napi_ref references[BUFFERS + 1]; /* keep buffers and decoder until the end of the step */
  uint32_t *report;                 /* bytes taken, bytes made */
  size_t in, out;
  int action, result;
};

void register_xz_decoder(napi_env env, napi_value exports);

static bool open_library(void) {
  static bool isOpen;
  void *library = isOpen ? NULL : dlopen("liblzma.so.5", RTLD_NOW | RTLD_LOCAL);
  if (!library) return isOpen;
  *(void **)&lzma.version = dlsym(library, "lzma_version_number");
  *(void **)&lzma.decoder = dlsym(library, "lzma_stream_decoder");
  *(void **)&lzma.decoder_mt = dlsym(library, "lzma_stream_decoder_mt");
  *(void **)&lzma.code = dlsym(library, "lzma_code");
  *(void **)&lzma.end = dlsym(library, "lzma_end");
  isOpen = lzma.version && lzma.decoder && lzma.code && lzma.end;
  return isOpen;
}

static void finalize(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  struct decoder *decoder = data;
  lzma.end(&decoder->stream);
  free(decoder);
}

/* xzOpen(memory, threads): a decoder; undefined where there is no library or it cannot begin. The memory is the limit
   of all threads together. */
static napi_value sys_xz_open(napi_env env, napi_callback_info info) {
  napi_value values[2], result = NULL;
  size_t count = 2;
  int64_t memory = 0;
  uint32_t threads = 1;
  napi_get_undefined(env, &result);
  if (napi_get_cb_info(env, info, &count, values, NULL, NULL) != napi_ok || count != 2) return result;
  if (napi_get_value_int64(env, values[0], &memory) != napi_ok || memory <= 0) return result;
  if (napi_get_value_uint32(env, values[1], &threads) != napi_ok || !open_library()) return result;
  struct decoder *decoder = calloc(1, sizeof *decoder);
  if (!decoder) return result;
  struct threads wanted = {
      .flags = LZMA_CONCATENATED, .threads = threads, .memlimit_threading = memory, .memlimit_stop = memory};
  bool hasThreads = lzma.decoder_mt && lzma.version() >= FIRST_WITH_THREADS && threads > 1;
  int status = hasThreads ? lzma.decoder_mt(&decoder->stream, &wanted)
                          : lzma.decoder(&decoder->stream, memory, LZMA_CONCATENATED);
  if (status != 0) free(decoder);
  else napi_create_external(env, decoder, finalize, NULL, &result);
  return result;
}

static void execute(napi_env env, void *data) {
  (void)env;
  struct decoder *decoder = data;
  decoder->result = lzma.code(&decoder->stream, decoder->action);
}

static void complete(napi_env env, napi_status status, void *data) {
  struct decoder *decoder = data;
  napi_value result = NULL;
  decoder->report[0] = decoder->in - decoder->stream.avail_in;
  decoder->report[1] = decoder->out - decoder->stream.avail_out;
  napi_create_int32(env, status == napi_ok ? decoder->result : LZMA_PROG_ERROR, &result);
  napi_deferred deferred = decoder->deferred;
  napi_delete_async_work(env, decoder->work);
  napi_ref references[BUFFERS + 1];
  memcpy(references, decoder->references, sizeof references);
  decoder->work = NULL;
  napi_resolve_deferred(env, deferred, result);
  for (int index = 0; index <= BUFFERS; index++) napi_delete_reference(env, references[index]);
}

/* xzStep(decoder, input, output, report, isLast): a promise of liblzma's result. One step at a time. */
static napi_value sys_xz_step(napi_env env, napi_callback_info info) {
  napi_value values[5], name = NULL, promise = NULL;
  size_t count = 5, lengths[BUFFERS];
  void *data = NULL, *starts[BUFFERS];
  bool isLast = false;
  bool isGood = napi_get_cb_info(env, info, &count, values, NULL, NULL) == napi_ok && count == 5 &&
                napi_get_value_external(env, values[0], &data) == napi_ok;
  struct decoder *decoder = data;
  for (int index = 0; isGood && index < BUFFERS; index++)
    isGood = napi_get_buffer_info(env, values[1 + index], &starts[index], &lengths[index]) == napi_ok;
  isGood = isGood && napi_get_value_bool(env, values[4], &isLast) == napi_ok && !decoder->work &&
           lengths[REPORT] >= 2 * sizeof *decoder->report && (uintptr_t)starts[REPORT] % _Alignof(uint32_t) == 0 &&
           lengths[INPUT] <= UINT32_MAX && lengths[OUTPUT] <= UINT32_MAX;
  if (!isGood) {
    napi_throw_type_error(env, NULL, "xzStep takes an idle decoder, three buffers and a boolean");
    return NULL;
  }
  decoder->stream.next_in = starts[INPUT];
  decoder->stream.avail_in = decoder->in = lengths[INPUT];
  decoder->stream.next_out = starts[OUTPUT];
  decoder->stream.avail_out = decoder->out = lengths[OUTPUT];
  decoder->report = starts[REPORT];
  decoder->action = isLast ? LZMA_FINISH : LZMA_RUN;
  for (int index = 0; index <= BUFFERS; index++)
    napi_create_reference(env, values[index], 1, &decoder->references[index]);
  napi_create_string_utf8(env, "imgctl:xzStep", NAPI_AUTO_LENGTH, &name);
  napi_create_promise(env, &decoder->deferred, &promise);
  napi_create_async_work(env, NULL, name, execute, complete, decoder, &decoder->work);
  napi_queue_async_work(env, decoder->work);
  return promise;
}

void register_xz_decoder(napi_env env, napi_value exports) {
  napi_value open = NULL, step = NULL;
  napi_create_function(env, "xzOpen", NAPI_AUTO_LENGTH, sys_xz_open, NULL, &open);
  napi_create_function(env, "xzStep", NAPI_AUTO_LENGTH, sys_xz_step, NULL, &step);
  napi_set_named_property(env, exports, "xzOpen", open);
  napi_set_named_property(env, exports, "xzStep", step);
}
