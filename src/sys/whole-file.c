/* Files made in one call instead of six or more: most of what unpacking and copying a tree is made of. */
#define _GNU_SOURCE
#include "whole-file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <unistd.h>

#define LARGEST_COPY (16 << 20) /* a call blocks its thread; what takes longer must be able to stop */

/* Gives an open file what it has not got already: each call that changes an inode costs several that look. */
static bool set_owner_and_mode(int fd, const struct stat *wanted) {
  struct stat now;
  if (fstat(fd, &now) != 0) return false;
  bool is_owned = now.st_uid == wanted->st_uid && now.st_gid == wanted->st_gid;
  if (!is_owned && fchown(fd, wanted->st_uid, wanted->st_gid) != 0) return false;
  return (now.st_mode & 07777) == (wanted->st_mode & 07777) || fchmod(fd, wanted->st_mode) == 0;
}

bool finish_file(int fd, const struct stat *wanted) {
  struct timespec times[2] = {wanted->st_mtim, wanted->st_mtim};
  return set_owner_and_mode(fd, wanted) && futimens(fd, times) == 0;
}

/* A new file with its contents, owner, mode and time: the six calls that make up most of an archive, as one. Where any
   of them fails nothing is left behind, and the caller goes step by step to learn which it was. The mode is that of the
   archive from the start, less what only counts for the right owner: nobody else gets into a staging directory. */
int make_file(int dir, const char *path, const char *start, size_t length, const struct stat *wanted) {
  int fd = openat(dir, path, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, wanted->st_mode & 0777);
  if (fd < 0) return -1;
  bool made = true;
  for (size_t done = 0; made && done < length;) {
    ssize_t count = write(fd, start + done, length - done);
    made = count > 0;
    if (made) done += count;
  }
  made = made && finish_file(fd, wanted);
  int error = errno;
  close(fd);
  if (made) return 0;
  unlinkat(dir, path, 0);
  errno = error;
  return -1;
}

/* A new symbolic link with owner and time. */
int make_symlink(int dir, const char *name, const char *target, const struct stat *wanted) {
  struct timespec times[2] = {wanted->st_mtim, wanted->st_mtim};
  if (symlinkat(target, dir, name) != 0) return -1;
  if (fchownat(dir, name, wanted->st_uid, wanted->st_gid, AT_SYMLINK_NOFOLLOW) == 0 &&
      utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) == 0)
    return 0;
  int error = errno;
  unlinkat(dir, name, 0);
  errno = error;
  return -1;
}

/* Copies all of an open file: shares its blocks, else copies inside the kernel. */
static bool copy_contents(int from, int to, off_t size) {
  if (ioctl(to, FICLONE, from) == 0) return true;
  for (off_t done = 0; done < size;) {
    ssize_t count = copy_file_range(from, NULL, to, NULL, size - done, 0);
    if (count <= 0) return false;
    done += count;
  }
  return true;
}

/* The same name in another directory, with contents, owner, mode and times, of a file that has no holes and no
   attributes: most of a tree. Where it is another kind of file (EOPNOTSUPP) or anything fails, nothing is left behind. */
int copy_file(int from_dir, const char *path, int to_dir) {
  struct stat stats;
  int from = openat(from_dir, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (from < 0) return -1;
  errno = EOPNOTSUPP;
  int to = -1;
  if (fstat(from, &stats) == 0 && S_ISREG(stats.st_mode) && stats.st_size <= LARGEST_COPY &&
      stats.st_blocks * 512 >= stats.st_size && flistxattr(from, NULL, 0) == 0)
    to = openat(to_dir, path, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, stats.st_mode & 0777);
  if (to < 0) {
    int error = errno;
    close(from);
    errno = error;
    return -1;
  }
  bool made = copy_contents(from, to, stats.st_size) && finish_file(to, &stats);
  int error = errno;
  close(from);
  close(to);
  if (made) return 0;
  unlinkat(to_dir, path, 0);
  errno = error;
  return -1;
}
