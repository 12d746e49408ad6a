/*
 * Many new files made on another thread with one call, for src/sys/file-batch.ts only. Unlike everything in native.c it
 * returns a promise; it resolves, once all files were tried, with the number of those that could not be made.
 */
#define _GNU_SOURCE
#define NAPI_VERSION 9
#include <errno.h>
#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "whole-file.h"

/* One file, as src/sys/file-batch.ts writes it; `name` and `start` are offsets, and `error` is the answer. */
struct job {
  int64_t mtime; /* nanoseconds */
  int32_t dir;
  uint32_t name, start, length, uid, gid, mode;
  int32_t error;
};

enum { TABLE, NAMES, CONTENTS, BUFFERS };

struct batch {
  napi_async_work work;
  napi_deferred deferred;
  napi_ref references[BUFFERS]; /* keep the buffers until the end */
  void *start[BUFFERS];
  size_t length[BUFFERS];
  uint32_t failed;
};

void register_file_batch(napi_env env, napi_value exports);

static void make_one(struct batch *batch, struct job *job) {
  const char *names = batch->start[NAMES], *contents = batch->start[CONTENTS];
  struct stat wanted = {.st_uid = job->uid, .st_gid = job->gid, .st_mode = job->mode};
  wanted.st_mtim.tv_sec = job->mtime / 1000000000;
  wanted.st_mtim.tv_nsec = job->mtime % 1000000000;
  if (wanted.st_mtim.tv_nsec < 0) {
    wanted.st_mtim.tv_nsec += 1000000000;
    wanted.st_mtim.tv_sec -= 1;
  }
  bool isInside = job->name < batch->length[NAMES] && job->start <= batch->length[CONTENTS] &&
                  job->length <= batch->length[CONTENTS] - job->start &&
                  memchr(names + job->name, 0, batch->length[NAMES] - job->name);
  if (!isInside) job->error = EINVAL;
  else job->error = make_file(job->dir, names + job->name, contents + job->start, job->length, &wanted) == 0 ? 0 : errno;
  if (job->error) batch->failed++;
}

static void execute(napi_env env, void *data) {
  (void)env;
  struct batch *batch = data;
  struct job *jobs = batch->start[TABLE];
  for (size_t index = 0; index < batch->length[TABLE] / sizeof *jobs; index++) make_one(batch, &jobs[index]);
}

static void complete(napi_env env, napi_status status, void *data) {
  struct batch *batch = data;
  napi_value result = NULL;
  napi_create_uint32(env, batch->failed, &result);
  if (status == napi_ok) napi_resolve_deferred(env, batch->deferred, result);
  else napi_reject_deferred(env, batch->deferred, result);
  for (int index = 0; index < BUFFERS; index++) napi_delete_reference(env, batch->references[index]);
  napi_delete_async_work(env, batch->work);
  free(batch);
}

/* makeFiles(table, names, contents): a promise. */
static napi_value sys_make_files(napi_env env, napi_callback_info info) {
  napi_value values[BUFFERS], name = NULL, promise = NULL;
  size_t count = BUFFERS;
  struct batch *batch = calloc(1, sizeof *batch);
  if (!batch) return NULL;
  bool isGood = napi_get_cb_info(env, info, &count, values, NULL, NULL) == napi_ok && count == BUFFERS;
  for (int index = 0; isGood && index < BUFFERS; index++)
    isGood = napi_get_buffer_info(env, values[index], &batch->start[index], &batch->length[index]) == napi_ok;
  if (!isGood || (uintptr_t)batch->start[TABLE] % _Alignof(struct job)) {
    free(batch);
    napi_throw_type_error(env, NULL, "makeFiles takes three buffers, the first aligned");
    return NULL;
  }
  for (int index = 0; index < BUFFERS; index++) napi_create_reference(env, values[index], 1, &batch->references[index]);
  napi_create_string_utf8(env, "imgctl:makeFiles", NAPI_AUTO_LENGTH, &name);
  napi_create_promise(env, &batch->deferred, &promise);
  napi_create_async_work(env, NULL, name, execute, complete, batch, &batch->work);
  napi_queue_async_work(env, batch->work);
  return promise;
}

void register_file_batch(napi_env env, napi_value exports) {
  napi_value function = NULL;
  napi_create_function(env, "makeFiles", NAPI_AUTO_LENGTH, sys_make_files, NULL, &function);
  napi_set_named_property(env, exports, "makeFiles", function);
}
