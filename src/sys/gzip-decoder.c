/* gzip without a stream of Node's around it, for src/sys/gzip-decoder.ts only: members decoded in steps. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>

#include "step.h"
#include "zlib-library.h"

enum { GZIP_WINDOW_BITS = 31 };

struct decoder {
  struct step step;
  struct zlib_stream stream;
  size_t in, out;
  uint32_t *report; /* bytes taken, bytes made */
};

void register_gzip_decoder(napi_env env, napi_value exports);

static void finalize(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  struct decoder *decoder = data;
  zlib.end(&decoder->stream);
  free(decoder);
}

/* gzipDecoder(): undefined where there is no library or memory. */
static napi_value sys_gzip_decoder(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value result = NULL;
  napi_get_undefined(env, &result);
  struct decoder *decoder = open_zlib() ? calloc(1, sizeof *decoder) : NULL;
  if (!decoder) return result;
  if (begin_inflate(&decoder->stream, GZIP_WINDOW_BITS)) napi_create_external(env, decoder, finalize, NULL, &result);
  else free(decoder);
  return result;
}

/* 0 at the end of a member, 1 before it, and an errno for what is none. */
static int64_t decode(struct step *step) {
  struct decoder *decoder = (struct decoder *)step;
  struct zlib_stream *stream = &decoder->stream;
  int result = zlib.inflate(stream, Z_NO_FLUSH);
  decoder->report[0] = decoder->in - stream->avail_in;
  decoder->report[1] = decoder->out - stream->avail_out;
  if (result == Z_STREAM_END) return zlib.reset(stream) == Z_OK ? 0 : -EBADMSG;
  return result == Z_OK || result == Z_BUF_ERROR ? 1 : -EBADMSG;
}

/* gzipDecode(decoder, input, output, report): a promise of what `decode` returns. One step at a time. */
static napi_value sys_gzip_decode(napi_env env, napi_callback_info info) {
  enum { DECODER, INPUT, OUTPUT, REPORT, ALL };
  napi_value values[ALL];
  size_t count = ALL, lengths[ALL];
  void *starts[ALL], *data = NULL;
  bool isGood = napi_get_cb_info(env, info, &count, values, NULL, NULL) == napi_ok && count == ALL &&
                napi_get_value_external(env, values[DECODER], &data) == napi_ok;
  for (int index = INPUT; isGood && index < ALL; index++)
    isGood = napi_get_buffer_info(env, values[index], &starts[index], &lengths[index]) == napi_ok;
  struct decoder *decoder = data;
  isGood = isGood && !decoder->step.work && lengths[REPORT] >= 2 * sizeof *decoder->report &&
           (uintptr_t)starts[REPORT] % _Alignof(uint32_t) == 0 && lengths[INPUT] <= UINT32_MAX &&
           lengths[OUTPUT] <= UINT32_MAX;
  if (!isGood) {
    napi_throw_type_error(env, NULL, "gzipDecode takes an idle decoder and three buffers");
    return NULL;
  }
  static const uint8_t nothing[1];
  decoder->stream.next_in = lengths[INPUT] > 0 ? starts[INPUT] : nothing;
  decoder->stream.avail_in = decoder->in = lengths[INPUT];
  decoder->stream.next_out = starts[OUTPUT];
  decoder->stream.avail_out = decoder->out = lengths[OUTPUT];
  decoder->report = starts[REPORT];
  decoder->step.run = decode;
  return start_step(env, &decoder->step, "imgctl:gzipDecode", values, ALL);
}

void register_gzip_decoder(napi_env env, napi_value exports) {
  static const struct export calls[] = {{"gzipDecoder", sys_gzip_decoder}, {"gzipDecode", sys_gzip_decode}};
  export_calls(env, exports, calls, sizeof calls / sizeof *calls);
}
