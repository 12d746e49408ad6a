/* Copies a part of a file on another thread while the rest of it is written, for src/sys/copy-beside.ts only. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "step.h"

struct copy {
  struct step step;
  int source, target;
  int64_t from, to;
};

void register_copy_beside(napi_env env, napi_value exports);

static void finalize(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  free(data);
}

/* Data only: what is a hole in the source stays one in the target. 0, or a negative errno. */
static int64_t copy_data(struct step *step) {
  struct copy *copy = (struct copy *)step;
  for (off_t from = copy->from; from < copy->to;) {
    off_t start = lseek(copy->source, from, SEEK_DATA);
    if (start < 0 && errno == ENXIO) break;
    if (start < 0) return -errno;
    off_t end = lseek(copy->source, start, SEEK_HOLE);
    if (end < 0) return -errno;
    if (end > copy->to) end = copy->to;
    for (off_t in = start, out = start; in < end;) {
      ssize_t count = copy_file_range(copy->source, &in, copy->target, &out, end - in, 0);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return -errno;
      if (count == 0) return -ENODATA;
    }
    from = end > from ? end : copy->to;
  }
  /* As the first file's, for the sync at the end; a file system that cannot has all of it to do then. */
  sync_file_range(copy->target, copy->from, copy->to - copy->from, SYNC_FILE_RANGE_WRITE);
  return 0;
}

/* copyBeside(source, target, from, to): a promise of 0 or a negative errno. The descriptors stay open until then. */
static napi_value sys_copy_beside(napi_env env, napi_callback_info info) {
  enum { SOURCE, TARGET, FROM, TO, ALL };
  napi_value values[ALL], kept = NULL;
  size_t count = ALL;
  struct copy *copy = calloc(1, sizeof *copy);
  bool isGood = copy && napi_get_cb_info(env, info, &count, values, NULL, NULL) == napi_ok && count == ALL &&
                napi_get_value_int32(env, values[SOURCE], &copy->source) == napi_ok &&
                napi_get_value_int32(env, values[TARGET], &copy->target) == napi_ok &&
                napi_get_value_int64(env, values[FROM], &copy->from) == napi_ok &&
                napi_get_value_int64(env, values[TO], &copy->to) == napi_ok && copy->from >= 0 &&
                napi_create_external(env, copy, finalize, NULL, &kept) == napi_ok;
  if (!isGood) {
    free(copy);
    napi_throw_type_error(env, NULL, "copyBeside takes two descriptors and two positions");
    return NULL;
  }
  copy->step.run = copy_data;
  return start_step(env, &copy->step, "imgctl:copyBeside", &kept, 1);
}

void register_copy_beside(napi_env env, napi_value exports) {
  static const struct export calls[] = {{"copyBeside", sys_copy_beside}};
  export_calls(env, exports, calls, sizeof calls / sizeof *calls);
}
