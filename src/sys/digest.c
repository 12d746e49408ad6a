/* SHA-1 and SHA-256 on another thread, by the OpenSSL inside Node where Node shows it, for src/sys/stream-digest.ts only. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sparse-writer.h"
#include "step.h"

enum { MAX_DIGEST_BYTES = 64, MAX_NAME = 16, BLOCK = 64 * 1024, READ = 4 * BLOCK };

/* What is needed of OpenSSL 3, declared here: contexts and algorithms are opaque. */
static struct {
  void *(*new)(void);
  void (*free)(void *context);
  int (*init)(void *context, const void *algorithm, void *engine);
  int (*update)(void *context, const void *bytes, size_t length);
  int (*copy)(void *to, const void *from);
  int (*final)(void *context, unsigned char *digest, unsigned *length);
  const void *(*sha1)(void);
  const void *(*sha256)(void);
} evp;

struct digest {
  struct step step;
  void *context;
  const uint8_t *bytes;
  size_t length;
  int fd;
  int64_t from, to;
};

void register_digest(napi_env env, napi_value exports);

static bool find_calls(void) {
  static bool isFound;
  if (isFound) return true;
  *(void **)&evp.new = dlsym(RTLD_DEFAULT, "EVP_MD_CTX_new");
  *(void **)&evp.free = dlsym(RTLD_DEFAULT, "EVP_MD_CTX_free");
  *(void **)&evp.init = dlsym(RTLD_DEFAULT, "EVP_DigestInit_ex");
  *(void **)&evp.update = dlsym(RTLD_DEFAULT, "EVP_DigestUpdate");
  *(void **)&evp.copy = dlsym(RTLD_DEFAULT, "EVP_MD_CTX_copy_ex");
  *(void **)&evp.final = dlsym(RTLD_DEFAULT, "EVP_DigestFinal_ex");
  *(void **)&evp.sha1 = dlsym(RTLD_DEFAULT, "EVP_sha1");
  *(void **)&evp.sha256 = dlsym(RTLD_DEFAULT, "EVP_sha256");
  return isFound =
             evp.new && evp.free && evp.init && evp.update && evp.copy && evp.final && evp.sha1 && evp.sha256;
}

static void finalize(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  struct digest *digest = data;
  if (digest->context) evp.free(digest->context);
  free(digest);
}

/* digestOpen(name): of sha1 or sha256; undefined where there is no library or memory. */
static napi_value sys_digest_open(napi_env env, napi_callback_info info) {
  napi_value value, result = NULL;
  size_t count = 1, length = 0;
  char name[MAX_NAME] = "";
  napi_get_undefined(env, &result);
  if (napi_get_cb_info(env, info, &count, &value, NULL, NULL) != napi_ok || count != 1 ||
      napi_get_value_string_utf8(env, value, name, sizeof name, &length) != napi_ok || !find_calls())
    return result;
  const void *algorithm = strcmp(name, "sha1") == 0 ? evp.sha1() : strcmp(name, "sha256") == 0 ? evp.sha256() : NULL;
  struct digest *digest = algorithm ? calloc(1, sizeof *digest) : NULL;
  if (!digest) return result;
  digest->context = evp.new();
  if (!digest->context || !evp.init(digest->context, algorithm, NULL)) {
    finalize(env, digest, NULL);
    return result;
  }
  napi_create_external(env, digest, finalize, NULL, &result);
  return result;
}

static int64_t update(struct step *step) {
  struct digest *digest = (struct digest *)step;
  return evp.update(digest->context, digest->bytes, digest->length) ? 0 : -EIO;
}

/* digestUpdate(digest, bytes): a promise of 0 or a negative errno. One at a time; the bytes stay as they are until then. */
static napi_value sys_digest_update(napi_env env, napi_callback_info info) {
  napi_value values[2];
  size_t count = 2, length = 0;
  void *data = NULL, *bytes = NULL;
  bool isGood = napi_get_cb_info(env, info, &count, values, NULL, NULL) == napi_ok && count == 2 &&
                napi_get_value_external(env, values[0], &data) == napi_ok &&
                napi_get_buffer_info(env, values[1], &bytes, &length) == napi_ok;
  struct digest *digest = data;
  if (!isGood || digest->step.work) {
    napi_throw_type_error(env, NULL, "digestUpdate takes an idle digest and a buffer");
    return NULL;
  }
  digest->bytes = bytes;
  digest->length = length;
  digest->step.run = update;
  return start_step(env, &digest->step, "imgctl:digest", values, 2);
}

/* The block that holds the next data before `to`; `to` itself where there is none, or a negative errno. */
static int64_t next_block(int fd, int64_t from, int64_t to) {
  off_t start = lseek(fd, from, SEEK_DATA);
  if (start < 0 && errno == ENXIO) return to;
  if (start < 0) return errno == EINVAL || errno == EOPNOTSUPP ? from : -errno;
  return start - start % BLOCK < to ? start - start % BLOCK : to;
}

/* How much of the file the buffer holds now; zeros stand where it ended. Or a negative errno. */
static int read_filled(int fd, uint8_t *buffer, size_t length, int64_t position) {
  for (size_t filled = 0; filled < length;) {
    ssize_t count = pread(fd, buffer + filled, length - filled, position + filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -errno;
    if (count == 0) memset(buffer + filled, 0, length - filled);
    filled = count == 0 ? length : filled + count;
  }
  return 0;
}

static bool count_block(struct digest *digest, int64_t position, const uint8_t *bytes, size_t length) {
  uint8_t place[8];
  if (is_zero(bytes, length)) return true;
  for (int index = 0; index < 8; index++) place[index] = position >> (56 - 8 * index);
  return evp.update(digest->context, place, sizeof place) && evp.update(digest->context, bytes, length);
}

static int64_t update_contents(struct step *step) {
  struct digest *digest = (struct digest *)step;
  uint8_t *buffer = malloc(READ);
  int64_t result = buffer ? 0 : -ENOMEM;
  for (int64_t position = digest->from; result == 0;) {
    position = next_block(digest->fd, position, digest->to);
    if (position < 0) result = position;
    if (position < 0 || position >= digest->to) break;
    size_t length = digest->to - position < READ ? digest->to - position : READ;
    result = read_filled(digest->fd, buffer, length, position);
    for (size_t at = 0; at < length && result == 0; at += BLOCK) {
      size_t rest = length - at < BLOCK ? length - at : BLOCK;
      if (!count_block(digest, position + at, buffer + at, rest)) result = -EIO;
    }
    position += length;
  }
  free(buffer);
  return result;
}

/* digestContents(digest, fd, from, to): a promise of 0 or a negative errno. Counts each block of 64 KiB between the two
   positions that is not all zeros: its position, in eight bytes, and itself, as src/engine/embedded/delta/contents.ts does.
   Both are whole blocks, but where the file ends. One at a time; the descriptor stays open until then. */
static napi_value sys_digest_contents(napi_env env, napi_callback_info info) {
  enum { DIGEST, FD, FROM, TO, ALL };
  napi_value values[ALL];
  size_t count = ALL;
  void *data = NULL;
  int32_t fd = -1;
  int64_t from = 0, to = 0;
  bool isGood = napi_get_cb_info(env, info, &count, values, NULL, NULL) == napi_ok && count == ALL &&
                napi_get_value_external(env, values[DIGEST], &data) == napi_ok &&
                napi_get_value_int32(env, values[FD], &fd) == napi_ok &&
                napi_get_value_int64(env, values[FROM], &from) == napi_ok &&
                napi_get_value_int64(env, values[TO], &to) == napi_ok && from >= 0 && from % BLOCK == 0;
  struct digest *digest = data;
  if (!isGood || digest->step.work) {
    napi_throw_type_error(env, NULL, "digestContents takes an idle digest, a descriptor and two positions");
    return NULL;
  }
  digest->fd = fd;
  digest->from = from;
  digest->to = to;
  digest->step.run = update_contents;
  return start_step(env, &digest->step, "imgctl:digest", values, 1);
}

/* digestRead(digest): of all bytes so far, which more may follow; undefined while one is worked on. */
static napi_value sys_digest_read(napi_env env, napi_callback_info info) {
  napi_value value, result = NULL;
  size_t count = 1;
  void *data = NULL;
  unsigned char bytes[MAX_DIGEST_BYTES];
  unsigned length = 0;
  napi_get_undefined(env, &result);
  if (napi_get_cb_info(env, info, &count, &value, NULL, NULL) != napi_ok || count != 1 ||
      napi_get_value_external(env, value, &data) != napi_ok || ((struct digest *)data)->step.work)
    return result;
  void *copy = evp.new();
  if (copy && evp.copy(copy, ((struct digest *)data)->context) && evp.final(copy, bytes, &length))
    napi_create_buffer_copy(env, length, bytes, NULL, &result);
  if (copy) evp.free(copy);
  return result;
}

void register_digest(napi_env env, napi_value exports) {
  static const struct export calls[] = {
      {"digestOpen", sys_digest_open}, {"digestUpdate", sys_digest_update},
                                        {"digestContents", sys_digest_contents}, {"digestRead", sys_digest_read}};
  export_calls(env, exports, calls, sizeof calls / sizeof *calls);
}
