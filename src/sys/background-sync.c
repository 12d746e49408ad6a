/* Begins to write a file system to its disk while this process goes on, for src/sys/contents.ts only. */
#define _GNU_SOURCE
#define NAPI_VERSION 9
#include <errno.h>
#include <node_api.h>
#include <stdlib.h>
#include <unistd.h>

struct sync {
  napi_async_work work;
  napi_deferred deferred;
  int fd, result;
};

void register_background_sync(napi_env env, napi_value exports);

static void execute(napi_env env, void *data) {
  (void)env;
  struct sync *sync = data;
  sync->result = syncfs(sync->fd) == 0 ? 0 : -errno;
}

static void complete(napi_env env, napi_status status, void *data) {
  struct sync *sync = data;
  napi_value result = NULL;
  napi_create_int32(env, status == napi_ok ? sync->result : -ECANCELED, &result);
  napi_resolve_deferred(env, sync->deferred, result);
  napi_delete_async_work(env, sync->work);
  free(sync);
}

/* syncfsBeside(fd): a promise of 0 or a negative errno. The descriptor stays open until then. */
static napi_value sys_syncfs_beside(napi_env env, napi_callback_info info) {
  napi_value value, name = NULL, promise = NULL;
  size_t count = 1;
  int fd = -1;
  struct sync *sync = calloc(1, sizeof *sync);
  if (!sync || napi_get_cb_info(env, info, &count, &value, NULL, NULL) != napi_ok || count != 1 ||
      napi_get_value_int32(env, value, &fd) != napi_ok) {
    free(sync);
    napi_throw_type_error(env, NULL, "syncfsBeside takes a descriptor");
    return NULL;
  }
  sync->fd = fd;
  napi_create_string_utf8(env, "imgctl:syncfs", NAPI_AUTO_LENGTH, &name);
  napi_create_promise(env, &sync->deferred, &promise);
  napi_create_async_work(env, NULL, name, execute, complete, sync, &sync->work);
  napi_queue_async_work(env, sync->work);
  return promise;
}

void register_background_sync(napi_env env, napi_value exports) {
  napi_value function = NULL;
  napi_create_function(env, "syncfsBeside", NAPI_AUTO_LENGTH, sys_syncfs_beside, NULL, &function);
  napi_set_named_property(env, exports, "syncfsBeside", function);
}
