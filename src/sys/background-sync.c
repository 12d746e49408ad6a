/* Begins to write a file, or a file system, to its disk while this process goes on, for src/sys/contents.ts only. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "step.h"

struct sync {
  struct step step;
  int fd;
};

void register_background_sync(napi_env env, napi_value exports);

static void finalize(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  free(data);
}

static int64_t sync_all(struct step *step) {
  return syncfs(((struct sync *)step)->fd) == 0 ? 0 : -errno;
}

/* syncfsBeside(fd): a promise of 0 or a negative errno. The descriptor stays open until then. */
static napi_value sys_syncfs_beside(napi_env env, napi_callback_info info) {
  napi_value value, kept = NULL;
  size_t count = 1;
  struct sync *sync = calloc(1, sizeof *sync);
  if (!sync || napi_get_cb_info(env, info, &count, &value, NULL, NULL) != napi_ok || count != 1 ||
      napi_get_value_int32(env, value, &sync->fd) != napi_ok ||
      napi_create_external(env, sync, finalize, NULL, &kept) != napi_ok) {
    free(sync);
    napi_throw_type_error(env, NULL, "syncfsBeside takes a descriptor");
    return NULL;
  }
  sync->step.run = sync_all;
  return start_step(env, &sync->step, "imgctl:syncfs", &kept, 1);
}

struct writing {
  struct step step;
  int fd; /* of its own */
  int64_t offset, length;
};

static int64_t start_writing(struct step *step) {
  struct writing *writing = (struct writing *)step;
  int result = sync_file_range(writing->fd, writing->offset, writing->length, SYNC_FILE_RANGE_WRITE);
  int64_t error = result == 0 ? 0 : -errno;
  close(writing->fd);
  return error;
}

/* startWriting(fd, offset, length): a promise of 0 or a negative errno. It waits for room in the queue of the disk, which
   can take half a second, and keeps the file open meanwhile. */
static napi_value sys_start_writing(napi_env env, napi_callback_info info) {
  enum { FD, OFFSET, LENGTH, ALL };
  napi_value values[ALL], kept = NULL;
  size_t count = ALL;
  int32_t fd = -1;
  struct writing *writing = calloc(1, sizeof *writing);
  if (!writing || napi_get_cb_info(env, info, &count, values, NULL, NULL) != napi_ok || count != ALL ||
      napi_get_value_int32(env, values[FD], &fd) != napi_ok ||
      napi_get_value_int64(env, values[OFFSET], &writing->offset) != napi_ok ||
      napi_get_value_int64(env, values[LENGTH], &writing->length) != napi_ok ||
      (writing->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0 ||
      napi_create_external(env, writing, finalize, NULL, &kept) != napi_ok) {
    free(writing);
    napi_throw_type_error(env, NULL, "startWriting takes an open descriptor and a range");
    return NULL;
  }
  writing->step.run = start_writing;
  return start_step(env, &writing->step, "imgctl:startWriting", &kept, 1);
}

void register_background_sync(napi_env env, napi_value exports) {
  static const struct export calls[] = {{"syncfsBeside", sys_syncfs_beside}, {"startWriting", sys_start_writing}};
  export_calls(env, exports, calls, sizeof calls / sizeof *calls);
}
