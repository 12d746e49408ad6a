/*
 * System calls that Node lacks, one function each, for src/sys/native.ts only.
 *
 * Contract: a call returns its result (0 or more, or a Buffer), or the negative errno; nothing here throws and
 * nothing decides. Paths are strings or bytes; bytes with a NUL give EINVAL. Every call blocks its thread.
 */
#define _GNU_SOURCE
#define NAPI_VERSION 9
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/btrfs.h>
#include <linux/close_range.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <node_api.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <termios.h>
#include <unistd.h>

#include "whole-file.h"

#define MAX_ARGUMENTS 6
#define MAX_XATTR_BYTES 65536 /* XATTR_SIZE_MAX and XATTR_LIST_MAX of linux/limits.h */

typedef char path_text[PATH_MAX];

/* The arguments of one call; `error` keeps the first that could not be read. */
struct call {
  napi_env env;
  napi_value values[MAX_ARGUMENTS];
  int error;
};

static struct call begin(napi_env env, napi_callback_info info) {
  struct call call = {.env = env, .error = 0};
  size_t count = MAX_ARGUMENTS;
  if (napi_get_cb_info(env, info, &count, call.values, NULL, NULL) != napi_ok) call.error = EINVAL;
  return call;
}

static int64_t integer(struct call *call, int index) {
  int64_t value = 0;
  bool lossless = true;
  if (napi_get_value_int64(call->env, call->values[index], &value) == napi_ok) return value;
  if (napi_get_value_bigint_int64(call->env, call->values[index], &value, &lossless) == napi_ok && lossless)
    return value;
  call->error = EINVAL;
  return 0;
}

/* Bytes of a Buffer; valid only during the call. */
static const void *bytes(struct call *call, int index, size_t *length) {
  void *start = NULL;
  *length = 0;
  if (napi_get_buffer_info(call->env, call->values[index], &start, length) != napi_ok) call->error = EINVAL;
  return start;
}

static void text(struct call *call, int index, path_text out) {
  napi_valuetype type = napi_undefined;
  size_t length = 0;
  out[0] = 0;
  napi_typeof(call->env, call->values[index], &type);
  if (type == napi_string) {
    if (napi_get_value_string_utf8(call->env, call->values[index], NULL, 0, &length) != napi_ok) call->error = EINVAL;
    else if (length >= PATH_MAX) call->error = ENAMETOOLONG;
    else napi_get_value_string_utf8(call->env, call->values[index], out, PATH_MAX, &length);
  } else {
    const void *start = bytes(call, index, &length);
    if (call->error) return;
    if (length >= PATH_MAX) call->error = ENAMETOOLONG;
    else if (length > 0) memcpy(out, start, length);
    if (!call->error) out[length] = 0;
  }
  if (!call->error && strlen(out) != length) call->error = EINVAL;
}

static bool is_number(struct call *call, int index) {
  napi_valuetype type = napi_undefined;
  napi_typeof(call->env, call->values[index], &type);
  return type == napi_number;
}

static napi_value number(napi_env env, int64_t value) {
  napi_value result = NULL;
  napi_create_int64(env, value, &result);
  return result;
}

static napi_value answer(struct call *call, int64_t result) {
  return number(call->env, call->error ? -call->error : result < 0 ? -errno : result);
}

/* Defines the function `name`; the last expression given is the system call, made only with good arguments. */
#define CALL(name, ...)                                       \
  static napi_value name(napi_env env, napi_callback_info info) { \
    struct call call = begin(env, info);                      \
    __VA_ARGS__                                               \
  }
#define INT(index) integer(&call, index)
#define TEXT(name, index) \
  path_text name;         \
  text(&call, index, name)
#define RETURN(expression)                          \
  do {                                              \
    if (call.error) return answer(&call, -1);       \
    return answer(&call, (int64_t)(expression));    \
  } while (0)

/* Descriptors, names and modes */

CALL(sys_flock, int fd = INT(0); int operation = INT(1); RETURN(flock(fd, operation));)

CALL(sys_openat, int dir = INT(0); TEXT(path, 1); int flags = INT(2); mode_t mode = INT(3);
     RETURN(openat(dir, path, flags | O_CLOEXEC, mode));)

CALL(sys_openat2, int dir = INT(0); TEXT(path, 1); struct open_how how = {0}; how.flags = INT(2) | O_CLOEXEC;
     how.mode = INT(3); how.resolve = INT(4); RETURN(syscall(SYS_openat2, dir, path, &how, sizeof how));)

CALL(sys_mkdirat, int dir = INT(0); TEXT(path, 1); mode_t mode = INT(2); RETURN(mkdirat(dir, path, mode));)

CALL(sys_symlinkat, TEXT(target, 0); int dir = INT(1); TEXT(path, 2); RETURN(symlinkat(target, dir, path));)

CALL(sys_linkat, int from = INT(0); TEXT(source, 1); int to = INT(2); TEXT(path, 3); int flags = INT(4);
     RETURN(linkat(from, source, to, path, flags));)

CALL(sys_unlinkat, int dir = INT(0); TEXT(path, 1); int flags = INT(2); RETURN(unlinkat(dir, path, flags));)

CALL(sys_mknodat, int dir = INT(0); TEXT(path, 1); mode_t mode = INT(2); unsigned major_ = INT(3);
     unsigned minor_ = INT(4); RETURN(mknodat(dir, path, mode, makedev(major_, minor_)));)

CALL(sys_fchownat, int dir = INT(0); TEXT(path, 1); uid_t uid = INT(2); gid_t gid = INT(3); int flags = INT(4);
     RETURN(fchownat(dir, path, uid, gid, flags));)

CALL(sys_fchmodat, int dir = INT(0); TEXT(path, 1); mode_t mode = INT(2); RETURN(fchmodat(dir, path, mode, 0));)

CALL(sys_renameat2, int from = INT(0); TEXT(source, 1); int to = INT(2); TEXT(path, 3); unsigned flags = INT(4);
     RETURN(syscall(SYS_renameat2, from, source, to, path, flags));)

static struct timespec timespec_of(int64_t nanoseconds) {
  struct timespec time = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
  if (time.tv_nsec < 0) {
    time.tv_nsec += 1000000000;
    time.tv_sec -= 1;
  }
  return time;
}

/* An empty path means the descriptor itself. */
CALL(sys_utimensat, int dir = INT(0); TEXT(path, 1);
     struct timespec times[2]; times[0] = timespec_of(INT(2)); times[1] = timespec_of(INT(3)); int flags = INT(4);
     RETURN(path[0] ? utimensat(dir, path, times, flags) : futimens(dir, times));)

CALL(sys_copy_file, int from = INT(0); TEXT(path, 1); int to = INT(2); RETURN(copy_file(from, path, to));)

/* Keeps every descriptor above standard error from programs started later. */
CALL(sys_close_on_exec, RETURN(syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC));)

/* Up to 256 bytes come whole. */
CALL(sys_random, size_t length; void *start = (void *)bytes(&call, 0, &length); RETURN(getrandom(start, length, 0));)

/* Contents */

CALL(sys_ficlone, int target = INT(0); int source = INT(1); RETURN(ioctl(target, FICLONE, source));)

CALL(sys_lseek, int fd = INT(0); off_t offset = INT(1); int whence = INT(2); RETURN(lseek(fd, offset, whence));)

CALL(sys_punch_hole, int fd = INT(0); off_t offset = INT(1); off_t length = INT(2);
     RETURN(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length));)

CALL(sys_copy_file_range, int source = INT(0); off_t from = INT(1); int target = INT(2); off_t to = INT(3);
     size_t length = INT(4); RETURN(copy_file_range(source, &from, target, &to, length, 0));)

CALL(sys_duplicate, int fd = INT(0); RETURN(fcntl(fd, F_DUPFD_CLOEXEC, 3));)

/* Who connected a Unix socket: the user id, or the process id. */
CALL(sys_peer, int fd = INT(0); int wants_process = INT(1); struct ucred peer; socklen_t size = sizeof peer;
     if (call.error) RETURN(-1);
     int result = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
     RETURN(result < 0 ? -1 : wants_process ? (int64_t)peer.pid : (int64_t)peer.uid);)

/* Waits until `fd` takes bytes; 0 after the time. */
CALL(sys_poll_out, struct pollfd file = {.fd = INT(0), .events = POLLOUT}; int milliseconds = INT(1);
     RETURN(poll(&file, 1, milliseconds));)

CALL(sys_syncfs, int fd = INT(0); RETURN(syncfs(fd));)

/* Inode attributes and btrfs subvolumes */

CALL(sys_get_attributes, int fd = INT(0); int flags = 0; if (call.error) RETURN(-1);
     int result = ioctl(fd, FS_IOC_GETFLAGS, &flags); RETURN(result < 0 ? -1 : (int64_t)(unsigned)flags);)

CALL(sys_set_attributes, int fd = INT(0); int flags = INT(1); RETURN(ioctl(fd, FS_IOC_SETFLAGS, &flags));)

static void volume_name(struct call *call, int index, char *out, size_t size) {
  path_text name;
  text(call, index, name);
  if (!call->error && strlen(name) >= size) call->error = ENAMETOOLONG;
  if (!call->error) strcpy(out, name);
}

CALL(sys_subvolume_create, int dir = INT(0); struct btrfs_ioctl_vol_args_v2 volume = {0};
     volume_name(&call, 1, volume.name, sizeof volume.name); RETURN(ioctl(dir, BTRFS_IOC_SUBVOL_CREATE_V2, &volume));)

CALL(sys_subvolume_snapshot, int dir = INT(0); struct btrfs_ioctl_vol_args_v2 volume = {0};
     volume_name(&call, 1, volume.name, sizeof volume.name); volume.fd = INT(2);
     volume.flags = INT(3) ? BTRFS_SUBVOL_RDONLY : 0; RETURN(ioctl(dir, BTRFS_IOC_SNAP_CREATE_V2, &volume));)

CALL(sys_subvolume_destroy, int dir = INT(0); struct btrfs_ioctl_vol_args volume = {0};
     volume_name(&call, 1, volume.name, sizeof volume.name); RETURN(ioctl(dir, BTRFS_IOC_SNAP_DESTROY, &volume));)

CALL(sys_subvolume_get_flags, int fd = INT(0); uint64_t flags = 0; if (call.error) RETURN(-1);
     int result = ioctl(fd, BTRFS_IOC_SUBVOL_GETFLAGS, &flags); RETURN(result < 0 ? -1 : (int64_t)flags);)

CALL(sys_subvolume_set_flags, int fd = INT(0); uint64_t flags = INT(1);
     RETURN(ioctl(fd, BTRFS_IOC_SUBVOL_SETFLAGS, &flags));)

/* Core dumps: the limit for children, the other one for dumps that a program takes, whatever the limit. */

CALL(sys_forbid_core_dumps, struct rlimit none = {0, 0}; if (setrlimit(RLIMIT_CORE, &none) < 0) RETURN(-1);
     RETURN(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));)

/* Pseudo-terminals */

CALL(sys_unlock_terminal, int fd = INT(0); int unlocked = 0; unsigned index = 0; if (call.error) RETURN(-1);
     if (ioctl(fd, TIOCSPTLCK, &unlocked) < 0) RETURN(-1); RETURN(ioctl(fd, TIOCGPTN, &index) < 0 ? -1 : (int64_t)index);)

CALL(sys_make_raw, int fd = INT(0); struct termios mode; if (call.error) RETURN(-1);
     if (tcgetattr(fd, &mode) < 0) RETURN(-1); cfmakeraw(&mode); RETURN(tcsetattr(fd, TCSANOW, &mode));)

/* Extended attributes: of a descriptor (number) or of a path, symbolic links not followed */

CALL(sys_set_xattr, bool is_fd = is_number(&call, 0); int fd = is_fd ? INT(0) : -1; path_text path;
     if (!is_fd) text(&call, 0, path); TEXT(name, 1); size_t length; const void *value = bytes(&call, 2, &length);
     RETURN(is_fd ? fsetxattr(fd, name, value, length, 0) : lsetxattr(path, name, value, length, 0));)

CALL(sys_remove_xattr, bool is_fd = is_number(&call, 0); int fd = is_fd ? INT(0) : -1; path_text path;
     if (!is_fd) text(&call, 0, path); TEXT(name, 1);
     RETURN(is_fd ? fremovexattr(fd, name) : lremovexattr(path, name));)

static napi_value buffer_or_error(struct call *call, const char *start, ssize_t length) {
  napi_value result = NULL;
  if (call->error || length < 0) return answer(call, -1);
  napi_create_buffer_copy(call->env, length, start, NULL, &result);
  return result;
}

CALL(sys_get_xattr, static __thread char value[MAX_XATTR_BYTES]; bool is_fd = is_number(&call, 0);
     int fd = is_fd ? INT(0) : -1; path_text path; if (!is_fd) text(&call, 0, path); TEXT(name, 1); ssize_t length = -1;
     if (!call.error) length = is_fd ? fgetxattr(fd, name, value, sizeof value) : lgetxattr(path, name, value, sizeof value);
     return buffer_or_error(&call, value, length);)

CALL(sys_list_xattrs, static __thread char names[MAX_XATTR_BYTES]; bool is_fd = is_number(&call, 0);
     int fd = is_fd ? INT(0) : -1; path_text path; if (!is_fd) text(&call, 0, path); ssize_t length = -1;
     if (!call.error) length = is_fd ? flistxattr(fd, names, sizeof names) : llistxattr(path, names, sizeof names);
     return buffer_or_error(&call, names, length);)

/* Checksums */

/* Adds bytes to a fletcher-4 state of four 64-bit words, in the byte order of this machine; a last part of a word is
   not counted. */
CALL(sys_fletcher4, size_t state_length; size_t length; uint64_t sums[4]; uint32_t word;
     char *state = (char *)bytes(&call, 0, &state_length); const char *start = bytes(&call, 1, &length);
     if (!call.error && state_length != sizeof sums) call.error = EINVAL; if (call.error) return answer(&call, -1);
     memcpy(sums, state, sizeof sums);
     for (size_t at = 0; at + sizeof word <= length; at += sizeof word) {
       memcpy(&word, start + at, sizeof word);
       sums[0] += word;
       sums[1] += sums[0];
       sums[2] += sums[1];
       sums[3] += sums[2];
     }
     memcpy(state, sums, sizeof sums); RETURN(0);)

static const struct {
  const char *name;
  napi_callback call;
} exported[] = {
    {"flock", sys_flock},
    {"openat", sys_openat},
    {"openat2", sys_openat2},
    {"mkdirat", sys_mkdirat},
    {"symlinkat", sys_symlinkat},
    {"linkat", sys_linkat},
    {"unlinkat", sys_unlinkat},
    {"mknodat", sys_mknodat},
    {"fchownat", sys_fchownat},
    {"fchmodat", sys_fchmodat},
    {"renameat2", sys_renameat2},
    {"utimensat", sys_utimensat},
    {"copyFile", sys_copy_file},
    {"closeOnExec", sys_close_on_exec},
    {"random", sys_random},
    {"ficlone", sys_ficlone},
    {"lseek", sys_lseek},
    {"punchHole", sys_punch_hole},
    {"copyFileRange", sys_copy_file_range},
    {"duplicate", sys_duplicate},
    {"peer", sys_peer},
    {"pollOut", sys_poll_out},
    {"syncfs", sys_syncfs},
    {"getAttributes", sys_get_attributes},
    {"setAttributes", sys_set_attributes},
    {"subvolumeCreate", sys_subvolume_create},
    {"subvolumeSnapshot", sys_subvolume_snapshot},
    {"subvolumeDestroy", sys_subvolume_destroy},
    {"subvolumeGetFlags", sys_subvolume_get_flags},
    {"subvolumeSetFlags", sys_subvolume_set_flags},
    {"forbidCoreDumps", sys_forbid_core_dumps},
    {"unlockTerminal", sys_unlock_terminal},
    {"makeRaw", sys_make_raw},
    {"setXattr", sys_set_xattr},
    {"removeXattr", sys_remove_xattr},
    {"getXattr", sys_get_xattr},
    {"listXattrs", sys_list_xattrs},
    {"fletcher4", sys_fletcher4},
};

void register_socket_calls(napi_env env, napi_value exports); /* socket.c */
void register_entry_batch(napi_env env, napi_value exports);  /* entry-batch.c */
void register_tar_entries(napi_env env, napi_value exports);  /* tar-entries.c */
void register_quota_calls(napi_env env, napi_value exports);  /* btrfs-quota.c */
void register_xz_decoder(napi_env env, napi_value exports);   /* xz-decoder.c */
void register_bzip2_decoder(napi_env env, napi_value exports); /* bzip2-decoder.c */
void register_sparse_writer(napi_env env, napi_value exports); /* sparse-writer.c */
void register_gzip_decoder(napi_env env, napi_value exports); /* gzip-decoder.c */
void register_zstd_codec(napi_env env, napi_value exports);   /* zstd-codec.c */
void register_cluster_batch(napi_env env, napi_value exports); /* cluster-batch.c */
void register_copy_beside(napi_env env, napi_value exports);  /* copy-beside.c */
void register_background_sync(napi_env env, napi_value exports); /* background-sync.c */
void register_small_file(napi_env env, napi_value exports);   /* small-file.c */
void register_missing_names(napi_env env, napi_value exports); /* missing-names.c */
void register_digest(napi_env env, napi_value exports);       /* digest.c */

NAPI_MODULE_INIT() {
  for (size_t index = 0; index < sizeof exported / sizeof *exported; index++) {
    napi_value function = NULL;
    napi_create_function(env, exported[index].name, NAPI_AUTO_LENGTH, exported[index].call, NULL, &function);
    napi_set_named_property(env, exports, exported[index].name, function);
  }
  register_socket_calls(env, exports);
  register_entry_batch(env, exports);
  register_tar_entries(env, exports);
  register_quota_calls(env, exports);
  register_xz_decoder(env, exports);
  register_bzip2_decoder(env, exports);
  register_sparse_writer(env, exports);
  register_gzip_decoder(env, exports);
  register_zstd_codec(env, exports);
  register_cluster_batch(env, exports);
  register_copy_beside(env, exports);
  register_background_sync(env, exports);
  register_small_file(env, exports);
  register_missing_names(env, exports);
  register_digest(env, exports);
  return exports;
}
