/*
 * gzip (RFC 1952) without a stream around it, for src/sys/gzip-decoder.ts only: members decoded in steps, to where they are
 * taken from, a ring that holds the window too. What a header says is refused where zlib refuses it: another magic or method,
 * reserved flags, a wrong checksum of the header; and at the end a wrong checksum or length.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gzip-checksum.h"
#include "inflate.h"
#include "step.h"

enum {
  MAGIC = 0x8b1f,
  DEFLATE = 8,
  RESERVED_FLAGS = 0xe0,
  FIXED_BYTES = 10,
  TRAILER_BYTES = 8,
  /* Of output between checksums, so that it is still near the processor. */
  PIECE = 64 * 1024,
};

/* In the order of the bytes. */
enum phase { FIXED, EXTRA_LENGTH, EXTRA, NAME, COMMENT, CHECK, BODY, TRAILER };
static const uint8_t flag_of[] = {[EXTRA_LENGTH] = 4, [EXTRA] = 4, [NAME] = 8, [COMMENT] = 16, [CHECK] = 2};

struct decoder {
  struct step step;
  enum phase phase;
  uint8_t flags, held[FIXED_BYTES];
  unsigned held_count, extra;
  uint32_t header_checksum, checksum;
  uint64_t made; /* of the member */
  const uint8_t *in, *in_end, *first;
  uint8_t *ring;
  size_t size, position, most;
  uint32_t *report; /* bytes taken, where what was made begins, bytes made */
  struct inflate inflate;
};

void register_gzip_decoder(napi_env env, napi_value exports);

static void finalize(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  free(data);
}

/* gzipDecoder(): of members, one after the other. */
static napi_value sys_gzip_decoder(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value result = NULL;
  struct decoder *decoder = calloc(1, sizeof *decoder);
  if (decoder && napi_create_external(env, decoder, finalize, NULL, &result) == napi_ok) return result;
  free(decoder);
  napi_throw_error(env, NULL, "There is no memory for a decoder of gzip");
  return NULL;
}

static uint32_t number_at(const uint8_t *bytes, unsigned count) {
  uint32_t value = 0;
  while (count-- > 0) value = value << 8 | bytes[count];
  return value;
}

/* Whether so many bytes are held now. */
static bool hold(struct decoder *decoder, unsigned count) {
  while (decoder->held_count < count && decoder->in < decoder->in_end)
    decoder->held[decoder->held_count++] = *decoder->in++;
  return decoder->held_count == count;
}

/* Bytes of the header that were taken since `from` count for its checksum. */
static void sum_header(struct decoder *decoder, const uint8_t *from) {
  decoder->header_checksum = gzip_checksum(decoder->header_checksum, from, decoder->in - from);
}

/* -1: not all of it is there, and the same below. */
static int read_fixed(struct decoder *decoder) {
  bool isAll = hold(decoder, FIXED_BYTES);
  const uint8_t *held = decoder->held;
  if (decoder->held_count >= 2 && number_at(held, 2) != MAGIC) return EBADMSG;
  if (decoder->held_count >= 4 && (held[2] != DEFLATE || held[3] & RESERVED_FLAGS)) return EBADMSG;
  if (!isAll) return -1;
  decoder->flags = held[3];
  decoder->header_checksum = gzip_checksum(0, held, FIXED_BYTES);
  return 0;
}

static int read_number(struct decoder *decoder) {
  const uint8_t *from = decoder->in;
  bool isAll = hold(decoder, 2);
  if (decoder->phase == EXTRA_LENGTH) sum_header(decoder, from);
  if (!isAll) return -1;
  decoder->extra = number_at(decoder->held, 2);
  return decoder->phase == EXTRA_LENGTH || decoder->extra == (decoder->header_checksum & 0xffff) ? 0 : EBADMSG;
}

static int skip_extra(struct decoder *decoder) {
  const uint8_t *from = decoder->in;
  size_t there = decoder->in_end - from;
  decoder->in += decoder->extra < there ? decoder->extra : there;
  decoder->extra -= decoder->in - from;
  sum_header(decoder, from);
  return decoder->extra > 0 ? -1 : 0;
}

static int skip_text(struct decoder *decoder) {
  const uint8_t *from = decoder->in, *end = memchr(from, 0, decoder->in_end - from);
  decoder->in = end ? end + 1 : decoder->in_end;
  sum_header(decoder, from);
  return end ? 0 : -1;
}

static int read_trailer(struct decoder *decoder) {
  bool isAll = hold(decoder, TRAILER_BYTES);
  const uint8_t *held = decoder->held;
  if (decoder->held_count >= 4 && number_at(held, 4) != decoder->checksum) return EBADMSG;
  if (!isAll) return -1;
  return number_at(held + 4, 4) == (uint32_t)decoder->made ? 0 : EBADMSG;
}

static int read_body(struct decoder *decoder) {
  uint8_t *start = decoder->ring + decoder->report[1], *end = start + decoder->most;
  struct inflate_io io = {decoder->in, decoder->in_end, decoder->ring + decoder->position, NULL, end, NULL};
  enum inflate_result result;
  do {
    uint8_t *from = io.out;
    io.enough = end - from > PIECE ? from + PIECE : end;
    io.history = from - (decoder->made < INFLATE_WINDOW ? decoder->made : INFLATE_WINDOW);
    result = inflate_run(&decoder->inflate, &io);
    size_t made = io.out - from;
    decoder->checksum = gzip_checksum(decoder->checksum, from, made);
    decoder->made += made;
  } while (result == INFLATE_OUTPUT && io.out < end);
  decoder->in = io.in;
  decoder->position = io.out - decoder->ring;
  return result == INFLATE_DAMAGED ? EBADMSG : result == INFLATE_END ? 0 : -1;
}

static int read_phase(struct decoder *decoder) {
  switch (decoder->phase) {
    case FIXED: return read_fixed(decoder);
    case EXTRA: return skip_extra(decoder);
    case NAME:
    case COMMENT: return skip_text(decoder);
    case EXTRA_LENGTH:
    case CHECK: return read_number(decoder);
    case BODY: return read_body(decoder);
    case TRAILER: break;
  }
  return read_trailer(decoder);
}

static void begin_next_phase(struct decoder *decoder) {
  decoder->held_count = 0;
  do decoder->phase++;
  while (decoder->phase < BODY && !(decoder->flags & flag_of[decoder->phase]));
  if (decoder->phase != BODY) return;
  inflate_begin(&decoder->inflate);
  decoder->checksum = decoder->made = 0;
}

static void begin_member(struct decoder *decoder) {
  decoder->phase = FIXED;
  decoder->held_count = 0;
}

/* 0 at the end of a member, 1 before it, and a negative errno for what is none. */
static int64_t decode(struct step *step) {
  struct decoder *decoder = (struct decoder *)step;
  /* What is made lies in one piece, with the window before it. */
  if (decoder->size - decoder->position < decoder->most) {
    memmove(decoder->ring, decoder->ring + decoder->position - INFLATE_WINDOW, INFLATE_WINDOW);
    decoder->position = INFLATE_WINDOW;
  }
  decoder->report[1] = decoder->position;
  int result = read_phase(decoder);
  for (; result == 0 && decoder->phase != TRAILER; result = read_phase(decoder)) begin_next_phase(decoder);
  if (result == 0) begin_member(decoder);
  decoder->report[0] = decoder->in - decoder->first;
  decoder->report[2] = decoder->position - decoder->report[1];
  return result < 0 ? 1 : -result;
}

/* gzipDecode(decoder, input, ring, report, most): a promise of what `decode` returns. It makes up to so many bytes at the
   next place of the ring, the same for all of a decoder, which has room for the window and twice as much. One step at a
   time, and none after one that failed. */
static napi_value sys_gzip_decode(napi_env env, napi_callback_info info) {
  enum { DECODER, INPUT, RING, REPORT, MOST, ALL };
  napi_value values[ALL];
  size_t count = ALL, lengths[ALL];
  void *starts[ALL], *data = NULL;
  uint32_t most = 0;
  bool isGood = napi_get_cb_info(env, info, &count, values, NULL, NULL) == napi_ok && count == ALL &&
                napi_get_value_external(env, values[DECODER], &data) == napi_ok &&
                napi_get_value_uint32(env, values[MOST], &most) == napi_ok && most > 0;
  for (int index = INPUT; isGood && index <= REPORT; index++)
    isGood = napi_get_buffer_info(env, values[index], &starts[index], &lengths[index]) == napi_ok;
  struct decoder *decoder = data;
  isGood = isGood && !decoder->step.work && lengths[REPORT] >= 3 * sizeof *decoder->report &&
           (uintptr_t)starts[REPORT] % _Alignof(uint32_t) == 0 && lengths[INPUT] <= UINT32_MAX &&
           lengths[RING] <= UINT32_MAX && lengths[RING] >= INFLATE_WINDOW + (uint64_t)most * 2 &&
           (!decoder->ring || (starts[RING] == decoder->ring && lengths[RING] == decoder->size));
  if (!isGood) {
    napi_throw_type_error(env, NULL, "gzipDecode takes an idle decoder, an input, its ring, and room to report");
    return NULL;
  }
  static const uint8_t nothing[1];
  decoder->first = decoder->in = lengths[INPUT] > 0 ? starts[INPUT] : nothing;
  decoder->in_end = decoder->in + lengths[INPUT];
  if (!decoder->ring) decoder->position = INFLATE_WINDOW;
  decoder->ring = starts[RING];
  decoder->size = lengths[RING];
  decoder->most = most;
  decoder->report = starts[REPORT];
  decoder->step.run = decode;
  return start_step(env, &decoder->step, "imgctl:gzipDecode", values, MOST);
}

void register_gzip_decoder(napi_env env, napi_value exports) {
  static const struct export calls[] = {{"gzipDecoder", sys_gzip_decoder}, {"gzipDecode", sys_gzip_decode}};
  export_calls(env, exports, calls, sizeof calls / sizeof *calls);
}
