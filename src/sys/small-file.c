/* Reads a plain small file with one call instead of ten: most of what packing a tree is made of. For src/sys/small-file.ts. */
#define _GNU_SOURCE
#define NAPI_VERSION 9
#include <fcntl.h>
#include <linux/openat2.h>
#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { NOT_PLAIN = -1, NO_ROOM = -2 };

/* As src/sys/small-file.ts reads it. */
struct facts {
  double mode, uid, gid, seconds, nanoseconds;
};

void register_small_file(napi_env env, napi_value exports);

static bool is_plain(const struct stat *stats) {
  return S_ISREG(stats->st_mode) && stats->st_nlink == 1;
}

/* Of an open file: without attributes, and without holes as far as the file system tells. */
static int64_t read_plain(int fd, char *into, size_t room, struct facts *facts) {
  struct stat stats;
  if (fstat(fd, &stats) != 0 || !is_plain(&stats) || flistxattr(fd, NULL, 0) != 0) return NOT_PLAIN;
  if (stats.st_size > (off_t)room) return NO_ROOM;
  off_t hole = stats.st_size > 0 ? lseek(fd, 0, SEEK_HOLE) : 0;
  if (hole >= 0 && hole < stats.st_size) return NOT_PLAIN;
  for (off_t done = 0; done < stats.st_size;) {
    ssize_t count = pread(fd, into + done, stats.st_size - done, done);
    if (count <= 0) return NOT_PLAIN;
    done += count;
  }
  *facts = (struct facts){stats.st_mode & 07777, stats.st_uid, stats.st_gid, stats.st_mtim.tv_sec, stats.st_mtim.tv_nsec};
  return stats.st_size;
}

/* What it is is looked at before it is opened: opening a device may do something. */
static int64_t read_small(int dir, const char *name, char *into, size_t room, struct facts *facts) {
  struct stat stats;
  if (fstatat(dir, name, &stats, AT_SYMLINK_NOFOLLOW) != 0 || !is_plain(&stats)) return NOT_PLAIN;
  if (stats.st_size > (off_t)room) return NO_ROOM;
  struct open_how how = {.flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
                         .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV};
  int fd = syscall(SYS_openat2, dir, name, &how, sizeof how);
  if (fd < 0) return NOT_PLAIN;
  int64_t size = read_plain(fd, into, room, facts);
  close(fd);
  return size;
}

/* readSmall(dir, name, into, facts): its size, or that it is none or has no room. */
static napi_value sys_read_small(napi_env env, napi_callback_info info) {
  enum { DIR, NAME, INTO, FACTS, ALL };
  napi_value values[ALL], result = NULL;
  size_t count = ALL, lengths[ALL];
  void *starts[ALL];
  int32_t dir = -1;
  char name[256];
  bool isGood = napi_get_cb_info(env, info, &count, values, NULL, NULL) == napi_ok && count == ALL &&
                napi_get_value_int32(env, values[DIR], &dir) == napi_ok;
  for (int index = NAME; isGood && index <= FACTS; index++)
    isGood = napi_get_buffer_info(env, values[index], &starts[index], &lengths[index]) == napi_ok;
  if (!isGood || lengths[FACTS] < sizeof(struct facts) || (uintptr_t)starts[FACTS] % _Alignof(struct facts)) {
    napi_throw_type_error(env, NULL, "readSmall takes a descriptor and three buffers, the last aligned");
    return NULL;
  }
  int64_t size = NOT_PLAIN;
  if (lengths[NAME] < sizeof name) {
    memcpy(name, starts[NAME], lengths[NAME]);
    name[lengths[NAME]] = 0;
    size = read_small(dir, name, starts[INTO], lengths[INTO], starts[FACTS]);
  }
  napi_create_int64(env, size, &result);
  return result;
}

void register_small_file(napi_env env, napi_value exports) {
  napi_value function = NULL;
  napi_create_function(env, "readSmall", NAPI_AUTO_LENGTH, sys_read_small, NULL, &function);
  napi_set_named_property(env, exports, "readSmall", function);
}
