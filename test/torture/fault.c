/*
 * Preloaded into a program under test: counts its calls that touch files below a directory, and makes the n-th one fail
 * or kills the process there. Processes that it starts with a clean environment are left alone.
 *
 *   FAULT_ROOT   the directory
 *   FAULT_AT     which call, from 1; 0 lets all go on
 *   FAULT_ERRNO  the errno it fails with; 0 kills the process instead
 *   FAULT_FROM   "1": all later calls that need space fail too, as on a full disk
 *   FAULT_TRACE  a file that gets a line for each call that is counted, outside the directory
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAX_FD 4096
#define NEXT(name) ((typeof(&name))next(#name))

static const char *root;
static size_t root_length;
static long due;
static int error_number, goes_on, trace = -1;
static long count;
/* Descriptors of files below the directory. */
static unsigned char ours[MAX_FD];

static void *next(const char *name) { return dlsym(RTLD_NEXT, name); }

__attribute__((constructor)) static void begin(void) {
	root = getenv("FAULT_ROOT");
	if (!root) return;
	root_length = strlen(root);
	const char *at = getenv("FAULT_AT"), *number = getenv("FAULT_ERRNO"), *from = getenv("FAULT_FROM");
	due = at ? atol(at) : 0;
	error_number = number ? atoi(number) : 0;
	goes_on = from && *from == '1';
	const char *file = getenv("FAULT_TRACE");
	if (file) trace = syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int is_below(const char *path) {
	return root && path && strncmp(path, root, root_length) == 0 && (path[root_length] == '/' || !path[root_length]);
}

static int is_ours(int fd) { return root && fd >= 0 && fd < MAX_FD && ours[fd]; }

/* Of names relative to a directory, or below the working directory when that is ours. */
static int touches(int dir, const char *path) {
	if (!root || !path) return 0;
	if (*path == '/') return is_below(path);
	return is_ours(dir);
}

static int keep(int fd, int is_one_of_ours) {
	if (fd >= 0 && fd < MAX_FD) ours[fd] = is_one_of_ours;
	return fd;
}

/* Whether the call is to fail; errno is set then. */
static int fails(const char *what, const char *path, int needs_space) {
	long number = __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST);
	int is_due = due > 0 && (number == due || (goes_on && number > due && needs_space));
	if (trace >= 0) {
		char line[PATH_MAX + 64];
		int length = snprintf(line, sizeof line, "%ld%s %s %s\n", number, is_due ? "!" : "", what, path ? path + (is_below(path) ? root_length : 0) : "");
		syscall(SYS_write, trace, line, (size_t)(length < (int)sizeof line ? length : (int)sizeof line - 1));
	}
	if (!is_due) return 0;
	if (error_number == 0) {
		kill(getpid(), SIGKILL);
		for (;;) pause();
	}
	errno = error_number;
	return 1;
}

#define OPEN(name)                                                                                        \
	int name(const char *path, int flags, ...) {                                                          \
		va_list list;                                                                                     \
		va_start(list, flags);                                                                            \
		mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;                           \
		va_end(list);                                                                                     \
		int below = is_below(path);                                                                       \
		if (below && fails(flags & O_CREAT ? "create" : "open", path, flags & O_CREAT)) return -1;        \
		return keep(NEXT(name)(path, flags, mode), below);                                                \
	}
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                                      \
	int name(int dir, const char *path, int flags, ...) {                                                 \
		va_list list;                                                                                     \
		va_start(list, flags);                                                                            \
		mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;                           \
		va_end(list);                                                                                     \
		int below = touches(dir, path);                                                                   \
		if (below && fails(flags & O_CREAT ? "create" : "open", path, flags & O_CREAT)) return -1;        \
		return keep(NEXT(name)(dir, path, flags, mode), below);                                           \
	}
OPENAT(openat)
OPENAT(openat64)

int close(int fd) {
	keep(fd, 0);
	return NEXT(close)(fd);
}

#define ON_FD(type, name, what, needs_space, parameters, ...)        \
	type name parameters {                                           \
		if (is_ours(fd) && fails(what, 0, needs_space)) return -1;   \
		return NEXT(name)(__VA_ARGS__);                              \
	}
ON_FD(ssize_t, read, "read", 0, (int fd, void *buffer, size_t size), fd, buffer, size)
ON_FD(ssize_t, pread, "read", 0, (int fd, void *buffer, size_t size, off_t at), fd, buffer, size, at)
ON_FD(ssize_t, pread64, "read", 0, (int fd, void *buffer, size_t size, off64_t at), fd, buffer, size, at)
ON_FD(ssize_t, write, "write", 1, (int fd, const void *buffer, size_t size), fd, buffer, size)
ON_FD(ssize_t, pwrite, "write", 1, (int fd, const void *buffer, size_t size, off_t at), fd, buffer, size, at)
ON_FD(ssize_t, pwrite64, "write", 1, (int fd, const void *buffer, size_t size, off64_t at), fd, buffer, size, at)
ON_FD(ssize_t, writev, "write", 1, (int fd, const struct iovec *parts, int n), fd, parts, n)
ON_FD(ssize_t, pwritev, "write", 1, (int fd, const struct iovec *parts, int n, off_t at), fd, parts, n, at)
ON_FD(ssize_t, pwritev64, "write", 1, (int fd, const struct iovec *parts, int n, off64_t at), fd, parts, n, at)
ON_FD(int, fsync, "fsync", 1, (int fd), fd)
ON_FD(int, fdatasync, "fsync", 1, (int fd), fd)
ON_FD(int, syncfs, "fsync", 1, (int fd), fd)
ON_FD(int, ftruncate, "truncate", 1, (int fd, off_t size), fd, size)
ON_FD(int, ftruncate64, "truncate", 1, (int fd, off64_t size), fd, size)
ON_FD(int, fchmod, "chmod", 0, (int fd, mode_t mode), fd, mode)

int ioctl(int fd, unsigned long request, ...) {
	va_list list;
	va_start(list, request);
	void *argument = va_arg(list, void *);
	va_end(list);
	if (is_ours(fd) && fails("ioctl", 0, 0)) return -1;
	return NEXT(ioctl)(fd, request, argument);
}

#define ON_PATH(name, what, needs_space, touched, parameters, ...)           \
	int name parameters {                                                    \
		if ((touched) && fails(what, path, needs_space)) return -1;          \
		return NEXT(name)(__VA_ARGS__);                                      \
	}
ON_PATH(mkdir, "mkdir", 1, is_below(path), (const char *path, mode_t mode), path, mode)
ON_PATH(mkdirat, "mkdir", 1, touches(dir, path), (int dir, const char *path, mode_t mode), dir, path, mode)
ON_PATH(unlink, "unlink", 0, is_below(path), (const char *path), path)
ON_PATH(unlinkat, "unlink", 0, touches(dir, path), (int dir, const char *path, int flags), dir, path, flags)
ON_PATH(rmdir, "rmdir", 0, is_below(path), (const char *path), path)
ON_PATH(rename, "rename", 1, is_below(path), (const char *path, const char *to), path, to)
ON_PATH(renameat, "rename", 1, touches(dir, path), (int dir, const char *path, int to, const char *name), dir, path, to, name)
ON_PATH(link, "link", 1, is_below(path), (const char *path, const char *to), path, to)

/* Calls that the C library has no function for, or that a binding makes by number. */
long syscall(long number, ...) {
	long a[6];
	va_list list;
	va_start(list, number);
	for (int i = 0; i < 6; i++) a[i] = va_arg(list, long);
	va_end(list);
	int below = 0;
	if (number == SYS_close) keep((int)a[0], 0);
	if (number == SYS_renameat2 && touches((int)a[0], (const char *)a[1]) && fails("rename", (const char *)a[1], 1)) return -1;
	if (number == SYS_openat2) {
		below = touches((int)a[0], (const char *)a[1]);
		if (below && fails("open", (const char *)a[1], 0)) return -1;
	}
	long result = NEXT(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	return number == SYS_openat2 ? keep((int)result, below) : result;
}
