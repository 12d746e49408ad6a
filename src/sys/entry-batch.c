/*
 * Makes the entries of a tree on another thread, many with one call and strictly in their order, for src/sys/entry-batch.ts
 * only. It stops at the first that cannot be made: whoever asked makes that one, or learns why not, and goes on behind it.
 * Directories are reached without following links and without leaving the top, which the kernel checks.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "entry-batch.h"
#include "kept-directories.h"
#include "step.h"
#include "whole-file.h"

enum { EARLY_BYTES = 16 << 20 };

struct maker {
  struct step step;
  int top;
  struct kept_directories kept;
  int file; /* one that comes in pieces, or -1 */
  off_t position, begun;
  struct entry *entries;
  size_t count, from;
  const char *names, *contents;
  size_t names_length, contents_length;
};

void register_entry_batch(napi_env env, napi_value exports);

static struct stat wanted_of(const struct entry *entry) {
  struct stat wanted = {.st_uid = entry->uid, .st_gid = entry->gid, .st_mode = entry->mode};
  wanted.st_mtim.tv_sec = entry->mtime / 1000000000;
  wanted.st_mtim.tv_nsec = entry->mtime % 1000000000;
  if (wanted.st_mtim.tv_nsec < 0) {
    wanted.st_mtim.tv_nsec += 1000000000;
    wanted.st_mtim.tv_sec -= 1;
  }
  return wanted;
}

static bool finish_directory(const struct maker *maker, const char *path, const struct stat *wanted) {
  int fd = open_beneath(maker->top, path, O_RDONLY);
  if (fd < 0) return false;
  bool made = finish_file(fd, wanted);
  int error = errno;
  close(fd);
  errno = error;
  return made;
}

/* `path` is that of the older name, from the top. */
static bool make_link(struct maker *maker, int dir, const char *name, const char *path) {
  const char *old;
  int from = parent_of(&maker->kept, maker->top, path, &old);
  return from >= 0 && linkat(from, old, dir, name, 0) == 0;
}

/* Begins to write early what is large: otherwise all of it waits for the sync at the end. */
static bool append(struct maker *maker, const char *bytes, size_t length) {
  if (maker->file < 0) {
    errno = EBADF;
    return false;
  }
  for (size_t done = 0; done < length;) {
    ssize_t count = pwrite(maker->file, bytes + done, length - done, maker->position + done);
    if (count <= 0) return false;
    done += count;
  }
  maker->position += length;
  if (maker->position - maker->begun >= EARLY_BYTES) {
    sync_file_range(maker->file, maker->begun, maker->position - maker->begun, SYNC_FILE_RANGE_WRITE);
    maker->begun = maker->position;
  }
  return true;
}

static void adopt(struct maker *maker, int fd, off_t position) {
  if (maker->file >= 0) close(maker->file);
  maker->file = fd;
  maker->position = maker->begun = position;
}

static bool begin_file(struct maker *maker, int dir, const char *name, const char *bytes, size_t length) {
  int fd = maker->file < 0 ? openat(dir, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600) : -1;
  if (fd < 0) return false;
  adopt(maker, fd, 0);
  if (append(maker, bytes, length)) return true;
  int error = errno;
  maker->file = -1;
  close(fd);
  unlinkat(dir, name, 0);
  errno = error;
  return false;
}

/* After a failure the file is still there and open, and its position where it was. */
static bool end_file(struct maker *maker, const char *bytes, size_t length, const struct stat *wanted) {
  off_t position = maker->position;
  if (!append(maker, bytes, length) || !finish_file(maker->file, wanted)) {
    maker->position = position;
    return false;
  }
  close(maker->file);
  maker->file = -1;
  return true;
}

static bool is_text(const struct maker *maker, uint32_t offset) {
  return offset < maker->names_length && memchr(maker->names + offset, 0, maker->names_length - offset);
}

static bool make(struct maker *maker, const struct entry *entry) {
  bool isInside = is_text(maker, entry->path) && is_text(maker, entry->other) &&
                  entry->start <= maker->contents_length && entry->length <= maker->contents_length - entry->start;
  if (!isInside) {
    errno = EINVAL;
    return false;
  }
  const char *path = maker->names + entry->path, *other = maker->names + entry->other;
  const char *name, *bytes = maker->contents + entry->start;
  struct stat wanted = wanted_of(entry);
  switch (entry->kind) {
    case PART: return append(maker, bytes, entry->length);
    case END: return end_file(maker, bytes, entry->length, &wanted);
    case FINISH: return finish_directory(maker, path, &wanted);
  }
  int dir = parent_of(&maker->kept, maker->top, path, &name);
  if (dir < 0) return false;
  switch (entry->kind) {
    case DIRECTORY: return mkdirat(dir, name, 0700) == 0;
    case WHOLE: return make_file(dir, name, bytes, entry->length, &wanted) == 0;
    case SYMLINK: return make_symlink(dir, name, other, &wanted) == 0;
    case LINK: return make_link(maker, dir, name, other);
    case BEGIN: return begin_file(maker, dir, name, bytes, entry->length);
  }
  errno = EINVAL;
  return false;
}

static int64_t make_all(struct step *step) {
  struct maker *maker = (struct maker *)step;
  for (size_t index = maker->from; index < maker->count; index++) {
    if (make(maker, &maker->entries[index])) continue;
    close_directories(&maker->kept); /* one of them may be gone, and another there when the next entry is made */
    return index;
  }
  return maker->count;
}

static void close_all(struct maker *maker) {
  close_directories(&maker->kept);
  if (maker->file >= 0) close(maker->file);
  maker->file = -1;
}

static void finalize(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  close_all(data);
  free(data);
}

/* entryMaker(top): makes entries below a directory that stays open. */
static napi_value sys_entry_maker(napi_env env, napi_callback_info info) {
  napi_value value, handle = NULL;
  size_t count = 1;
  struct maker *maker = calloc(1, sizeof *maker);
  if (!maker || napi_get_cb_info(env, info, &count, &value, NULL, NULL) != napi_ok || count != 1 ||
      napi_get_value_int32(env, value, &maker->top) != napi_ok ||
      napi_create_external(env, maker, finalize, NULL, &handle) != napi_ok) {
    free(maker);
    napi_throw_type_error(env, NULL, "entryMaker takes a descriptor");
    return NULL;
  }
  maker->file = -1;
  begin_directories(&maker->kept);
  maker->step.run = make_all;
  return handle;
}

static struct maker *idle_maker(napi_env env, napi_value value) {
  void *data = NULL;
  if (napi_get_value_external(env, value, &data) != napi_ok || ((struct maker *)data)->step.work) {
    napi_throw_type_error(env, NULL, "a maker of entries is busy, or none");
    return NULL;
  }
  return data;
}

/* makeEntries(maker, table, names, contents, count, from): a promise of how many of the first `count` are done. */
static napi_value sys_make_entries(napi_env env, napi_callback_info info) {
  enum { MAKER, TABLE, NAMES, CONTENTS, COUNT, FROM, ALL };
  napi_value values[ALL];
  size_t count = ALL, lengths[ALL];
  void *starts[ALL];
  uint32_t end = 0, from = 0;
  bool isGood = napi_get_cb_info(env, info, &count, values, NULL, NULL) == napi_ok && count == ALL &&
                napi_get_value_uint32(env, values[COUNT], &end) == napi_ok &&
                napi_get_value_uint32(env, values[FROM], &from) == napi_ok;
  for (int index = TABLE; isGood && index <= CONTENTS; index++)
    isGood = napi_get_buffer_info(env, values[index], &starts[index], &lengths[index]) == napi_ok;
  if (!isGood || (uintptr_t)starts[TABLE] % _Alignof(struct entry) || end > lengths[TABLE] / sizeof(struct entry)) {
    napi_throw_type_error(env, NULL, "makeEntries takes a maker, three buffers, the first aligned, and two numbers");
    return NULL;
  }
  struct maker *maker = idle_maker(env, values[MAKER]);
  if (!maker) return NULL;
  maker->entries = starts[TABLE];
  maker->count = end;
  maker->from = from;
  maker->names = starts[NAMES];
  maker->names_length = lengths[NAMES];
  maker->contents = starts[CONTENTS];
  maker->contents_length = lengths[CONTENTS];
  return start_step(env, &maker->step, "imgctl:makeEntries", values, COUNT);
}

/* adoptFile(maker, fd, position): the file whose parts come now; the maker closes it. */
static napi_value sys_adopt_file(napi_env env, napi_callback_info info) {
  napi_value values[3];
  size_t count = 3;
  int32_t fd = -1;
  int64_t position = 0;
  if (napi_get_cb_info(env, info, &count, values, NULL, NULL) != napi_ok || count != 3 ||
      napi_get_value_int32(env, values[1], &fd) != napi_ok || napi_get_value_int64(env, values[2], &position) != napi_ok) {
    napi_throw_type_error(env, NULL, "adoptFile takes a maker and two numbers");
    return NULL;
  }
  struct maker *maker = idle_maker(env, values[0]);
  if (maker) adopt(maker, fd, position);
  return NULL;
}

/* releaseFile(maker): the descriptor of the file that comes in parts, for the caller to close; -1 where there is none. */
static napi_value sys_release_file(napi_env env, napi_callback_info info) {
  napi_value value, result = NULL;
  size_t count = 1;
  if (napi_get_cb_info(env, info, &count, &value, NULL, NULL) != napi_ok || count != 1) return NULL;
  struct maker *maker = idle_maker(env, value);
  if (!maker) return NULL;
  napi_create_int32(env, maker->file, &result);
  maker->file = -1;
  return result;
}

/* closeMaker(maker): what it keeps open. */
static napi_value sys_close_maker(napi_env env, napi_callback_info info) {
  napi_value value;
  size_t count = 1;
  if (napi_get_cb_info(env, info, &count, &value, NULL, NULL) != napi_ok || count != 1) return NULL;
  struct maker *maker = idle_maker(env, value);
  if (maker) close_all(maker);
  return NULL;
}

void register_entry_batch(napi_env env, napi_value exports) {
  static const struct export calls[] = {{"entryMaker", sys_entry_maker},
                                        {"makeEntries", sys_make_entries},
                                        {"adoptFile", sys_adopt_file},
                                        {"releaseFile", sys_release_file},
                                        {"closeMaker", sys_close_maker}};
  export_calls(env, exports, calls, sizeof calls / sizeof *calls);
}
