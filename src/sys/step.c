/* A piece of work on another thread: see step.h. */
#include "step.h"

#include <errno.h>
#include <string.h>

static void execute(napi_env env, void *data) {
  (void)env;
  struct step *step = data;
  step->result = step->run(step);
}

static void complete(napi_env env, napi_status status, void *data) {
  struct step *step = data;
  napi_value result = NULL;
  napi_ref kept[STEP_MAX_KEPT];
  size_t count = step->count;
  napi_deferred deferred = step->deferred;
  memcpy(kept, step->kept, sizeof kept);
  napi_create_int64(env, status == napi_ok ? step->result : -ECANCELED, &result);
  napi_delete_async_work(env, step->work);
  step->work = NULL;
  napi_resolve_deferred(env, deferred, result);
  for (size_t index = 0; index < count; index++) napi_delete_reference(env, kept[index]);
}

napi_value start_step(napi_env env, struct step *step, const char *name, const napi_value *kept, size_t count) {
  napi_value label = NULL, promise = NULL;
  step->count = count;
  for (size_t index = 0; index < count; index++) napi_create_reference(env, kept[index], 1, &step->kept[index]);
  napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &label);
  napi_create_promise(env, &step->deferred, &promise);
  napi_create_async_work(env, NULL, label, execute, complete, step, &step->work);
  napi_queue_async_work(env, step->work);
  return promise;
}

void export_calls(napi_env env, napi_value exports, const struct export *calls, size_t count) {
  for (size_t index = 0; index < count; index++) {
    napi_value function = NULL;
    napi_create_function(env, calls[index].name, NAPI_AUTO_LENGTH, calls[index].call, NULL, &function);
    napi_set_named_property(env, exports, calls[index].name, function);
  }
}
