/* Sparse writing, for what is decoded natively and for src/sys/sparse-writer.ts: see sparse-writer.h. */
#define _GNU_SOURCE
#include "sparse-writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "step.h"

/* Finer holes cost more than they save; this is the block size of nearly every file system. */
enum { BLOCK = 4096, WORDS = 16 };

void register_sparse_writer(napi_env env, napi_value exports);

bool is_zero(const uint8_t *bytes, size_t length) {
  uint64_t words[WORDS];
  for (; length >= sizeof words; bytes += sizeof words, length -= sizeof words) {
    uint64_t any = 0;
    memcpy(words, bytes, sizeof words);
    for (int index = 0; index < WORDS; index++) any |= words[index];
    if (any) return false;
  }
  for (; length > 0; length--)
    if (*bytes++) return false;
  return true;
}

static int write_all(int fd, const uint8_t *bytes, size_t length, int64_t offset) {
  while (length > 0) {
    ssize_t count = pwrite(fd, bytes, length, offset);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return count < 0 ? -errno : -EIO;
    bytes += count;
    length -= count;
    offset += count;
  }
  return 0;
}

int write_sparse(int fd, const uint8_t *bytes, size_t length, int64_t offset) {
  size_t start = 0, position = 0;
  int result = 0;
  while (position < length && result == 0) {
    size_t end = position + BLOCK - (offset + position) % BLOCK;
    if (end > length) end = length;
    if (is_zero(bytes + position, end - position)) {
      result = write_all(fd, bytes + start, position - start, offset + start);
      start = end;
    }
    position = end;
  }
  return result ? result : write_all(fd, bytes + start, length - start, offset + start);
}

/* writeSparse(fd, bytes, offset): 0 or a negative errno. */
static napi_value sys_write_sparse(napi_env env, napi_callback_info info) {
  napi_value values[3], result = NULL;
  size_t count = 3, length = 0;
  void *bytes = NULL;
  int32_t fd = -1;
  int64_t offset = 0;
  bool isGood = napi_get_cb_info(env, info, &count, values, NULL, NULL) == napi_ok && count == 3 &&
                napi_get_value_int32(env, values[0], &fd) == napi_ok &&
                napi_get_buffer_info(env, values[1], &bytes, &length) == napi_ok &&
                napi_get_value_int64(env, values[2], &offset) == napi_ok && offset >= 0;
  napi_create_int64(env, isGood ? write_sparse(fd, bytes, length, offset) : -EINVAL, &result);
  return result;
}

struct piece {
  struct step step;
  int fd;
  const uint8_t *bytes;
  size_t length;
  int64_t offset;
};

static void finalize(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  free(data);
}

static int64_t write_piece(struct step *step) {
  struct piece *piece = (struct piece *)step;
  int result = write_sparse(piece->fd, piece->bytes, piece->length, piece->offset);
  if (result) return result;
  off_t end = piece->offset + piece->length;
  struct stat now;
  if (fstat(piece->fd, &now) != 0) return -errno;
  return now.st_size >= end || ftruncate(piece->fd, end) == 0 ? 0 : -errno;
}

/* writeSparseBeside(fd, bytes, offset): a promise of 0 or a negative errno, on another thread; the file reaches at least
   as far as the bytes then, also if they end with a hole. Descriptor and bytes stay as they are until then. */
static napi_value sys_write_sparse_beside(napi_env env, napi_callback_info info) {
  enum { FD, BYTES, OFFSET, ALL };
  napi_value values[ALL], kept[2];
  size_t count = ALL;
  void *bytes = NULL;
  struct piece *piece = calloc(1, sizeof *piece);
  bool isGood = piece && napi_get_cb_info(env, info, &count, values, NULL, NULL) == napi_ok && count == ALL &&
                napi_get_value_int32(env, values[FD], &piece->fd) == napi_ok &&
                napi_get_buffer_info(env, values[BYTES], &bytes, &piece->length) == napi_ok &&
                napi_get_value_int64(env, values[OFFSET], &piece->offset) == napi_ok && piece->offset >= 0 &&
                napi_create_external(env, piece, finalize, NULL, &kept[0]) == napi_ok;
  if (!isGood) {
    free(piece);
    napi_throw_type_error(env, NULL, "writeSparseBeside takes a descriptor, a buffer and a position");
    return NULL;
  }
  piece->bytes = bytes;
  piece->step.run = write_piece;
  kept[1] = values[BYTES];
  return start_step(env, &piece->step, "imgctl:writeSparse", kept, 2);
}

void register_sparse_writer(napi_env env, napi_value exports) {
  static const struct export calls[] = {{"writeSparse", sys_write_sparse},
                                        {"writeSparseBeside", sys_write_sparse_beside}};
  export_calls(env, exports, calls, sizeof calls / sizeof *calls);
}
