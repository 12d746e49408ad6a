/*
 * Parts of a disk taken out of an image file and written to another, many with one call, on another thread, for
 * src/sys/cluster-batch.ts only: read, decompressed where they are, and written without their zeros.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "inflate.h"
#include "sparse-writer.h"
#include "step.h"
#include "zstd-library.h"

enum { ZSTD = 1 };

/* A part as src/sys/cluster-batch.ts writes it: `length` bytes of the disk at `offset`. They lie at `host`, as they are
   if `packed` is 0, else as the beginning of a compressed cluster that fills at most `packed` bytes. */
struct part {
  int64_t offset, host;
  uint32_t length, packed;
};

/* What takes the parts out, one batch at a time. */
struct unpacker {
  struct step step;
  int source, target;
  size_t cluster, room;
  uint8_t *input, *output;
  void *zstd; /* for zstd, else NULL */
  struct inflate inflate; /* for zlib */
  const struct part *parts;
  size_t count;
  uint32_t *failed;
};

void register_cluster_batch(napi_env env, napi_value exports);

static void finalize(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  struct unpacker *unpacker = data;
  if (unpacker->zstd) zstd.free_decoder(unpacker->zstd);
  free(unpacker->input);
  free(unpacker->output);
  free(unpacker);
}

static bool prepare(struct unpacker *unpacker, int kind, int window_log) {
  unpacker->input = malloc(unpacker->room);
  unpacker->output = malloc(unpacker->cluster + INFLATE_SLACK);
  if (!unpacker->input || !unpacker->output) return false;
  if (kind != ZSTD) return true;
  unpacker->zstd = open_zstd() ? zstd.create_decoder() : NULL;
  return unpacker->zstd && !zstd.is_error(zstd.set_decoder(unpacker->zstd, ZSTD_d_windowLogMax, window_log));
}

/* clusterUnpacker(kind, cluster, room, windowLog): one for clusters of that size, zlib (0) or zstd (1), and parts that
   fill at most `room` bytes in the file; undefined where there is no library or memory. */
static napi_value sys_cluster_unpacker(napi_env env, napi_callback_info info) {
  napi_value values[4], result = NULL;
  size_t count = 4;
  uint32_t numbers[4] = {0};
  napi_get_undefined(env, &result);
  if (napi_get_cb_info(env, info, &count, values, NULL, NULL) != napi_ok || count != 4) return result;
  for (int index = 0; index < 4; index++)
    if (napi_get_value_uint32(env, values[index], &numbers[index]) != napi_ok) return result;
  struct unpacker *unpacker = calloc(1, sizeof *unpacker);
  if (!unpacker) return result;
  unpacker->cluster = numbers[1];
  unpacker->room = numbers[2];
  if (prepare(unpacker, numbers[0], numbers[3])) napi_create_external(env, unpacker, finalize, NULL, &result);
  else finalize(env, unpacker, NULL);
  return result;
}

static int read_fully(int fd, uint8_t *into, size_t length, int64_t position) {
  for (size_t done = 0; done < length;) {
    ssize_t count = pread(fd, into + done, length - done, position + done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return count < 0 ? -errno : -ENODATA;
    done += count;
  }
  return 0;
}

/* Exactly a cluster comes out, and what lies behind its compressed form is not looked at. */
static bool decompress(struct unpacker *unpacker, size_t length) {
  if (unpacker->zstd) {
    struct zstd_input input = {unpacker->input, length, 0};
    struct zstd_output output = {unpacker->output, unpacker->cluster, 0};
    size_t left, before;
    do {
      before = input.pos + output.pos;
      left = zstd.decode(unpacker->zstd, &output, &input);
    } while (left != 0 && !zstd.is_error(left) && input.pos + output.pos > before);
    return left == 0 && output.pos == unpacker->cluster;
  }
  struct inflate_io io = {.in = unpacker->input, .in_end = unpacker->input + length, .out = unpacker->output};
  /* With room behind the cluster all of it is decoded by the quick loop; what comes out too much shows. */
  io.enough = io.out_end = io.out + unpacker->cluster + INFLATE_SLACK;
  io.history = io.out;
  inflate_begin(&unpacker->inflate);
  return inflate_run(&unpacker->inflate, &io) == INFLATE_END && io.out == unpacker->output + unpacker->cluster;
}

static int unpack_part(struct unpacker *unpacker, const struct part *part) {
  size_t stored = part->packed ? part->packed : part->length;
  if (stored > unpacker->room || (part->packed && part->length > unpacker->cluster)) return -EINVAL;
  int result = read_fully(unpacker->source, unpacker->input, stored, part->host);
  if (result) return result;
  if (part->packed && !decompress(unpacker, stored)) return -EBADMSG;
  const uint8_t *bytes = part->packed ? unpacker->output : unpacker->input;
  return write_sparse(unpacker->target, bytes, part->length, part->offset);
}

static int64_t unpack(struct step *step) {
  struct unpacker *unpacker = (struct unpacker *)step;
  for (size_t index = 0; index < unpacker->count; index++) {
    int result = unpack_part(unpacker, &unpacker->parts[index]);
    if (!result) continue;
    *unpacker->failed = index;
    return result;
  }
  return 0;
}

/* unpackClusters(unpacker, parts, report, source, target): a promise of 0, or of a negative errno and in the report the
   part where it stopped: EBADMSG for one that cannot be decompressed, ENODATA where the file ends early. */
static napi_value sys_unpack_clusters(napi_env env, napi_callback_info info) {
  enum { UNPACKER, PARTS, REPORT, SOURCE, TARGET, ALL };
  napi_value values[ALL];
  size_t count = ALL, lengths[ALL];
  void *starts[ALL], *data = NULL;
  int32_t source = -1, target = -1;
  bool isGood = napi_get_cb_info(env, info, &count, values, NULL, NULL) == napi_ok && count == ALL &&
                napi_get_value_external(env, values[UNPACKER], &data) == napi_ok &&
                napi_get_value_int32(env, values[SOURCE], &source) == napi_ok &&
                napi_get_value_int32(env, values[TARGET], &target) == napi_ok;
  for (int index = PARTS; isGood && index <= REPORT; index++)
    isGood = napi_get_buffer_info(env, values[index], &starts[index], &lengths[index]) == napi_ok &&
             (uintptr_t)starts[index] % _Alignof(struct part) == 0;
  struct unpacker *unpacker = data;
  if (!isGood || unpacker->step.work || lengths[REPORT] < sizeof *unpacker->failed) {
    napi_throw_type_error(env, NULL, "unpackClusters takes an idle unpacker, two buffers and two descriptors");
    return NULL;
  }
  unpacker->parts = starts[PARTS];
  unpacker->count = lengths[PARTS] / sizeof *unpacker->parts;
  unpacker->failed = starts[REPORT];
  unpacker->source = source;
  unpacker->target = target;
  unpacker->step.run = unpack;
  return start_step(env, &unpacker->step, "imgctl:unpackClusters", values, REPORT + 1);
}

void register_cluster_batch(napi_env env, napi_value exports) {
  static const struct export calls[] = {{"clusterUnpacker", sys_cluster_unpacker},
                                        {"unpackClusters", sys_unpack_clusters}};
  export_calls(env, exports, calls, sizeof calls / sizeof *calls);
}
