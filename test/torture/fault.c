/*
 * Preloaded into a program under test: counts its calls that touch files below a directory or a connection, and makes the
 * n-th one fail or kills the process there.
 *
 *   FAULT_ROOT   the directory
 *   FAULT_AT     which call, from 1; 0 lets all go on
 *   FAULT_ERRNO  the errno it fails with; 0 kills the process instead
 *   FAULT_FROM   "1": all later calls that need space fail too, as on a full disk
 *   FAULT_IN     only in children whose command line has this; without it those with a clean environment are left alone
 *   FAULT_TRACE  a file that gets a line for each call that is counted, outside the directory
 */
#include "inject.h"
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

#define MAX_FD 4096

static const char *root;
static size_t root_length;
static long due;
static int error_number, goes_on, trace = -1;
static long count;
/* Descriptors of files below the directory, and of connections. */
enum { FOREIGN, FILE_OF_OURS, CONNECTION };
static unsigned char ours[MAX_FD];

/* Goes on into children, and does nothing but in those that are meant. */
static void follow(const char *in) {
	static const char *names[] = {"LD_PRELOAD", "FAULT_ROOT", "FAULT_AT", "FAULT_ERRNO", "FAULT_FROM", "FAULT_IN", "FAULT_FD"};
	char number[16], command[4096];
	snprintf(number, sizeof number, "%d", trace);
	setenv("FAULT_FD", number, 1);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) pass_on(names[i]);
	shared_fd = trace;
	int fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t length = syscall(SYS_read, fd, command, sizeof command);
	syscall(SYS_close, fd);
	if (!is_node() || length <= 0 || !memmem(command, length, in, strlen(in))) {
		root = 0;
		return;
	}
	/* What it was given is of the directory too. */
	for (int i = 0; i < 16; i++) {
		char link[32], name[PATH_MAX];
		snprintf(link, sizeof link, "/proc/self/fd/%d", i);
		ssize_t end = readlink(link, name, sizeof name - 1);
		if (end < 0) continue;
		name[end] = 0;
		if (strncmp(name, root, root_length) == 0) ours[i] = FILE_OF_OURS;
	}
}

__attribute__((constructor)) static void begin(void) {
	root = getenv("FAULT_ROOT");
	if (!root) return;
	root_length = strlen(root);
	const char *at = getenv("FAULT_AT"), *number = getenv("FAULT_ERRNO"), *from = getenv("FAULT_FROM");
	due = at ? atol(at) : 0;
	error_number = number ? atoi(number) : 0;
	goes_on = from && *from == '1';
	const char *file = getenv("FAULT_TRACE"), *in = getenv("FAULT_IN"), *opened = getenv("FAULT_FD");
	if (opened) trace = atoi(opened);
	else if (file) {
		int fd = syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND, 0600);
		trace = fcntl(fd, in ? F_DUPFD : F_DUPFD_CLOEXEC, 200);
		syscall(SYS_close, fd);
	}
	if (in) follow(in);
}

static int begins_below(const char *path) {
	return strncmp(path, root, root_length) == 0 && (path[root_length] == '/' || !path[root_length]);
}

static int is_below(const char *path) {
	if (!root || !path) return 0;
	if (*path == '/') return begins_below(path);
	char base[PATH_MAX];
	ssize_t length = readlink("/proc/self/cwd", base, sizeof base - 1);
	if (length < 0) return 0;
	base[length] = 0;
	return begins_below(base);
}

static int kind_of(int fd) { return root && fd >= 0 && fd < MAX_FD ? ours[fd] : FOREIGN; }

static int is_ours(int fd) { return kind_of(fd) == FILE_OF_OURS; }

/* Of names relative to a directory. */
static int touches(int dir, const char *path) {
	if (!root || !path) return 0;
	return *path == '/' || dir == AT_FDCWD ? is_below(path) : is_ours(dir);
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
		int length = snprintf(line, sizeof line, "%ld%s %s %s\n", number, is_due ? "!" : "", what, path ? path + (*path == '/' && begins_below(path) ? root_length : 0) : "");
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
/* The same calls are for files and for connections. */
#define ON_BOTH(name, what, net, needs_space, parameters, ...)       \
	ssize_t name parameters {                                        \
		int kind = kind_of(fd);                                      \
		if (kind == CONNECTION && fails(net, 0, 0)) return -1;       \
		if (kind == FILE_OF_OURS && fails(what, 0, needs_space)) return -1; \
		return NEXT(name)(__VA_ARGS__);                              \
	}
ON_BOTH(read, "read", "recv", 0, (int fd, void *buffer, size_t size), fd, buffer, size)
ON_BOTH(write, "write", "send", 1, (int fd, const void *buffer, size_t size), fd, buffer, size)
ON_BOTH(writev, "write", "send", 1, (int fd, const struct iovec *parts, int n), fd, parts, n)
ON_BOTH(recvmsg, "read", "recv", 0, (int fd, struct msghdr *message, int flags), fd, message, flags)
ON_BOTH(sendmsg, "write", "send", 0, (int fd, const struct msghdr *message, int flags), fd, message, flags)
ON_FD(ssize_t, pread, "read", 0, (int fd, void *buffer, size_t size, off_t at), fd, buffer, size, at)
ON_FD(ssize_t, pread64, "read", 0, (int fd, void *buffer, size_t size, off64_t at), fd, buffer, size, at)
ON_FD(ssize_t, pwrite, "write", 1, (int fd, const void *buffer, size_t size, off_t at), fd, buffer, size, at)
ON_FD(ssize_t, pwrite64, "write", 1, (int fd, const void *buffer, size_t size, off64_t at), fd, buffer, size, at)
ON_FD(ssize_t, pwritev, "write", 1, (int fd, const struct iovec *parts, int n, off_t at), fd, parts, n, at)
ON_FD(ssize_t, pwritev64, "write", 1, (int fd, const struct iovec *parts, int n, off64_t at), fd, parts, n, at)
ON_FD(int, fsync, "fsync", 1, (int fd), fd)
ON_FD(int, fdatasync, "fsync", 1, (int fd), fd)
ON_FD(int, syncfs, "fsync", 1, (int fd), fd)
ON_FD(int, ftruncate, "truncate", 1, (int fd, off_t size), fd, size)
ON_FD(int, ftruncate64, "truncate", 1, (int fd, off64_t size), fd, size)
ON_FD(int, fchmod, "chmod", 0, (int fd, mode_t mode), fd, mode)

ON_FD(int, fallocate, "allocate", 1, (int fd, int mode, off_t at, off_t size), fd, mode, at, size)

ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t size, unsigned flags) {
	if (is_ours(out) && fails("write", 0, 1)) return -1;
	return NEXT(copy_file_range)(in, from, out, to, size, flags);
}

int socket(int domain, int type, int protocol) {
	int is_net = domain == AF_INET || domain == AF_INET6;
	if (root && is_net && fails("socket", 0, 0)) return -1;
	return keep(NEXT(socket)(domain, type, protocol), is_net ? CONNECTION : FOREIGN);
}

int connect(int fd, const struct sockaddr *address, socklen_t length) {
	if (kind_of(fd) == CONNECTION && fails("connect", 0, 0)) return -1;
	return NEXT(connect)(fd, address, length);
}

int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags) {
	if (kind_of(fd) == CONNECTION && fails("accept", 0, 0)) return -1;
	return keep(NEXT(accept4)(fd, address, length, flags), kind_of(fd));
}

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
ON_PATH(linkat, "link", 1, touches(to, name), (int dir, const char *path, int to, const char *name, int flags), dir, path, to, name, flags)
ON_PATH(symlink, "link", 1, is_below(path), (const char *target, const char *path), target, path)
ON_PATH(symlinkat, "link", 1, touches(dir, path), (const char *target, int dir, const char *path), target, dir, path)
ON_PATH(mknodat, "mknod", 1, touches(dir, path), (int dir, const char *path, mode_t mode, dev_t device), dir, path, mode, device)
ON_PATH(fchmodat, "chmod", 0, touches(dir, path), (int dir, const char *path, mode_t mode, int flags), dir, path, mode, flags)
ON_PATH(fchownat, "chown", 0, touches(dir, path), (int dir, const char *path, uid_t user, gid_t group, int flags), dir, path, user, group, flags)

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
	if (number == SYS_close_range && result == 0) keep_shared();
	return number == SYS_openat2 ? keep((int)result, below) : result;
}
