/* Keeps directories open for what is made in them next: see kept-directories.h. The kernel checks how they are reached. */
#define _GNU_SOURCE
#include "kept-directories.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int open_beneath(int top, const char *path, int flags) {
  struct open_how how = {.flags = flags | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
                         .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
  return syscall(SYS_openat2, top, *path ? path : ".", &how, sizeof how);
}

static void close_directory(struct kept_directory *one) {
  if (one->fd >= 0) close(one->fd);
  free(one->path);
  *one = (struct kept_directory){.fd = -1};
}

void begin_directories(struct kept_directories *kept) {
  *kept = (struct kept_directories){.uses = 0};
  for (int index = 0; index < KEPT_DIRECTORIES; index++) kept->all[index].fd = -1;
}

void close_directories(struct kept_directories *kept) {
  for (int index = 0; index < KEPT_DIRECTORIES; index++) close_directory(&kept->all[index]);
}

/* An open one, else the place of the one that was not used for longest. */
static struct kept_directory *find(struct kept_directories *kept, const char *path, size_t length) {
  struct kept_directory *oldest = kept->all;
  for (struct kept_directory *one = kept->all; one < kept->all + KEPT_DIRECTORIES; one++) {
    if (one->fd >= 0 && one->length == length && memcmp(one->path, path, length) == 0) return one;
    if (one->used < oldest->used) oldest = one;
  }
  close_directory(oldest);
  return oldest;
}

int parent_of(struct kept_directories *kept, int top, const char *path, const char **name) {
  const char *slash = strrchr(path, '/');
  *name = slash ? slash + 1 : path;
  if (!slash) return top;
  size_t length = slash - path;
  struct kept_directory *found = find(kept, path, length);
  if (found->fd < 0) {
    char *parent = strndup(path, length);
    int fd = parent ? open_beneath(top, length > 0 ? parent : "/", O_PATH) : -1;
    if (fd < 0) {
      free(parent);
      return -1;
    }
    *found = (struct kept_directory){.path = parent, .length = length, .fd = fd};
  }
  found->used = ++kept->uses;
  return found->fd;
}
