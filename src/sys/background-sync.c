/* Begins to write a file, or a file system, to its disk while this process goes on, for src/sys/contents.ts only. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "step.h"

struct sync {
  struct step step;
  int (*call)(int fd);
  int fd;
  bool isOwn; /* and closed at the end */
};

void register_background_sync(napi_env env, napi_value exports);

static void finalize(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  free(data);
}

static int64_t sync_now(struct step *step) {
  struct sync *sync = (struct sync *)step;
  int64_t result = sync->call(sync->fd) == 0 ? 0 : -errno;
  if (sync->isOwn) close(sync->fd);
  return result;
}

/* The same file opened once more. What fails to be written is told once to each open file that is synced: who asks at the end has
   to hear of it too. */
static int open_again(int fd) {
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

static napi_value start_sync(napi_env env, napi_callback_info info, struct sync wanted) {
  napi_value value, kept = NULL;
  size_t count = 1;
  int32_t fd = -1;
  struct sync *sync = malloc(sizeof *sync);
  if (!sync || napi_get_cb_info(env, info, &count, &value, NULL, NULL) != napi_ok || count != 1 ||
      napi_get_value_int32(env, value, &fd) != napi_ok ||
      napi_create_external(env, sync, finalize, NULL, &kept) != napi_ok) {
    free(sync);
    napi_throw_type_error(env, NULL, "this takes an open descriptor");
    return NULL;
  }
  *sync = wanted;
  sync->fd = wanted.isOwn ? open_again(fd) : fd;
  sync->step.run = sync_now;
  return start_step(env, &sync->step, "imgctl:sync", &kept, 1);
}

/* syncfsBeside(fd): a promise of 0 or a negative errno. The descriptor stays open until then. */
static napi_value sys_syncfs_beside(napi_env env, napi_callback_info info) {
  return start_sync(env, info, (struct sync){.call = syncfs});
}

/* writeEarly(fd): a promise of 0 or a negative errno; keeps the file open meanwhile. All that is there of the file, and out of
   the disk's cache: a disk that is told to write only at the end begins then. */
static napi_value sys_write_early(napi_env env, napi_callback_info info) {
  return start_sync(env, info, (struct sync){.call = fdatasync, .isOwn = true});
}

/* syncEarly(fd): the same of all that its file system holds. */
static napi_value sys_sync_early(napi_env env, napi_callback_info info) {
  return start_sync(env, info, (struct sync){.call = syncfs, .isOwn = true});
}

void register_background_sync(napi_env env, napi_value exports) {
  static const struct export calls[] = {
    {"syncfsBeside", sys_syncfs_beside}, {"writeEarly", sys_write_early}, {"syncEarly", sys_sync_early}};
  export_calls(env, exports, calls, sizeof calls / sizeof *calls);
}
