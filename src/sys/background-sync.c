/* Begins to write a file system to its disk while this process goes on, for src/sys/contents.ts only. */
#define _GNU_SOURCE
#include <errno.h>
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

void register_background_sync(napi_env env, napi_value exports) {
  static const struct export calls[] = {{"syncfsBeside", sys_syncfs_beside}};
  export_calls(env, exports, calls, sizeof calls / sizeof *calls);
}
