/* A piece of work on another thread, for the codecs beside it: JavaScript gets a promise of a number. */
#ifndef STEP_H
#define STEP_H
#define NAPI_VERSION 9
#include <node_api.h>
#include <stddef.h>
#include <stdint.h>

enum { STEP_MAX_KEPT = 6 };

/* The first member of what works; `work` is set while it does. `run` may touch what is kept, and nothing of Node. */
struct step {
  napi_async_work work;
  napi_deferred deferred;
  napi_ref kept[STEP_MAX_KEPT];
  size_t count;
  int64_t (*run)(struct step *step);
  int64_t result;
};

/* Runs an idle step; what it works with, itself included, is kept until the end. */
napi_value start_step(napi_env env, struct step *step, const char *name, const napi_value *kept, size_t count);

struct export {
  const char *name;
  napi_callback call;
};
void export_calls(napi_env env, napi_value exports, const struct export *calls, size_t count);
#endif
