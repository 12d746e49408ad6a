/* Begins to write a file, or a file system, to its disk while this process goes on, for src/sys/contents.ts only. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
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

struct early {
  struct step step;
  int fd; /* of its own */
};

/* All that is there of the file, and out of the disk's cache: a disk that is told to write only at the end begins then. */
static int64_t write_early(struct step *step) {
  struct early *early = (struct early *)step;
  int result = fdatasync(early->fd);
  int64_t error = result == 0 ? 0 : -errno;
  close(early->fd);
  return error;
}

static int64_t sync_early(struct step *step) {
  struct early *early = (struct early *)step;
  int result = syncfs(early->fd);
  int64_t error = result == 0 ? 0 : -errno;
  close(early->fd);
  return error;
}

/* The same file opened once more. What fails to be written is told once to each open file that is synced: who asks at the end has
   to hear of it too. */
static int open_again(int fd) {
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

static napi_value start_early(napi_env env, napi_callback_info info, int64_t (*run)(struct step *), const char *name) {
  napi_value value, kept = NULL;
  size_t count = 1;
  int32_t fd = -1;
  struct early *early = calloc(1, sizeof *early);
  if (!early || napi_get_cb_info(env, info, &count, &value, NULL, NULL) != napi_ok || count != 1 ||
      napi_get_value_int32(env, value, &fd) != napi_ok ||
      napi_create_external(env, early, finalize, NULL, &kept) != napi_ok) {
    free(early);
    napi_throw_type_error(env, NULL, "this takes an open descriptor");
    return NULL;
  }
  early->fd = open_again(fd);
  early->step.run = run;
  return start_step(env, &early->step, name, &kept, 1);
}

/* writeEarly(fd): a promise of 0 or a negative errno; keeps the file open meanwhile. */
static napi_value sys_write_early(napi_env env, napi_callback_info info) {
  return start_early(env, info, write_early, "imgctl:writeEarly");
}

/* syncEarly(fd): the same of all that its file system holds. */
static napi_value sys_sync_early(napi_env env, napi_callback_info info) {
  return start_early(env, info, sync_early, "imgctl:syncEarly");
}

void register_background_sync(napi_env env, napi_value exports) {
  static const struct export calls[] = {
    {"syncfsBeside", sys_syncfs_beside}, {"writeEarly", sys_write_early}, {"syncEarly", sys_sync_early}};
  export_calls(env, exports, calls, sizeof calls / sizeof *calls);
}
