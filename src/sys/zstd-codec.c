/* zstd without a stream of Node's around it, for src/sys/zstd-codec.ts only: frames decoded in steps, encoded whole. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "step.h"
#include "zstd-library.h"

struct decoder {
  struct step step;
  void *context;
  struct zstd_input input;
  struct zstd_output output;
  uint32_t *report; /* bytes taken, bytes made */
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

static bool read_number(napi_env env, napi_callback_info info, int32_t *number) {
  napi_value value = NULL;
  size_t count = 1;
  return napi_get_cb_info(env, info, &count, &value, NULL, NULL) == napi_ok && count == 1 &&
         napi_get_value_int32(env, value, number) == napi_ok;
}

/* zstdDecoder(windowLog): a decoder that takes no larger window; undefined where there is no library or memory. */
static napi_value sys_zstd_decoder(napi_env env, napi_callback_info info) {
  napi_value result = NULL;
  int32_t window_log = 0;
  napi_get_undefined(env, &result);
  if (!read_number(env, info, &window_log) || !open_zstd()) return result;
  struct decoder *decoder = calloc(1, sizeof *decoder);
  if (decoder) decoder->context = zstd.create_decoder();
  if (decoder && decoder->context && !zstd.is_error(zstd.set_decoder(decoder->context, ZSTD_d_windowLogMax, window_log)))
    napi_create_external(env, decoder, finalize_decoder, NULL, &result);
  else if (decoder) finalize_decoder(env, decoder, NULL);
  return result;
}

/* zstdEncoder(level): an encoder of frames with checksums; undefined where there is no library or memory. */
static napi_value sys_zstd_encoder(napi_env env, napi_callback_info info) {
  napi_value result = NULL;
  int32_t level = 0;
  napi_get_undefined(env, &result);
  if (!read_number(env, info, &level) || !open_zstd()) return result;
  struct encoder *encoder = calloc(1, sizeof *encoder);
  if (encoder) encoder->context = zstd.create_encoder();
  if (encoder && encoder->context && !zstd.is_error(zstd.set_encoder(encoder->context, ZSTD_c_compressionLevel, level)) &&
      !zstd.is_error(zstd.set_encoder(encoder->context, ZSTD_c_checksumFlag, 1)))
    napi_create_external(env, encoder, finalize_encoder, NULL, &result);
  else if (encoder) finalize_encoder(env, encoder, NULL);
  return result;
}

/* 0 at the end of a frame, 1 before it, and an errno for what is no frame. */
static int64_t decode(struct step *step) {
  struct decoder *decoder = (struct decoder *)step;
  struct zstd_input *input = &decoder->input;
  struct zstd_output *output = &decoder->output;
  size_t left, before;
  do {
    before = input->pos + output->pos;
    left = zstd.decode(decoder->context, output, input);
  } while (left != 0 && !zstd.is_error(left) && output->pos < output->size && input->pos + output->pos > before);
  decoder->report[0] = input->pos;
  decoder->report[1] = output->pos;
  return zstd.is_error(left) ? -EBADMSG : left != 0;
}

/* zstdDecode(decoder, input, output, report): a promise of what `decode` returns. One step at a time. */
static napi_value sys_zstd_decode(napi_env env, napi_callback_info info) {
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
    napi_throw_type_error(env, NULL, "zstdDecode takes an idle decoder and three buffers");
    return NULL;
  }
  decoder->input = (struct zstd_input){starts[INPUT], lengths[INPUT], 0};
  decoder->output = (struct zstd_output){starts[OUTPUT], lengths[OUTPUT], 0};
  decoder->report = starts[REPORT];
  decoder->step.run = decode;
  return start_step(env, &decoder->step, "imgctl:zstdDecode", values, ALL);
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
  int error = encoder->fd < 0 ? 0 : fill(encoder);
  if (error) return -error;
  size_t made = zstd.encode(encoder->context, encoder->output, encoder->room, encoder->input, encoder->length);
  return zstd.is_error(made) ? -ENOMEM : (int64_t)made;
}

/* zstdEncode(encoder, input, output, fd, offset): a promise of the length of the frame, or a negative errno: ENODATA if
   the file ends early. With a descriptor, not -1, the input is read from there first. One step at a time. */
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
                                        {"zstdEncode", sys_zstd_encode}};
  export_calls(env, exports, calls, sizeof calls / sizeof *calls);
}
