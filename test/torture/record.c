/*
 * Preloaded into a program under test and its children: writes down, in order, what they do to files below a directory, so
 * that a power cut at any instant can be played later (power-loss.ts). Files are named by inode, because names change.
 *
 *   RECORD_ROOT  the directory, without links
 *   RECORD_LOG   the log, outside of it
 *
 * A record is "OP\0INODE\0A\0B\0PATH\0PATH2\0LENGTH\0" and LENGTH bytes:
 *   W offset size     bytes written          T size          size changed
 *   Z offset size     a hole punched         S               file or directory synced
 *   A                 all synced (syncfs)    C mode path     file made, empty
 *   D mode path       directory made         Y path          link made, its target the bytes
 *   L path            hard link made         R path path2    renamed
 *   X path path2      exchanged              U path          removed
 *   M mode            mode changed           N mode path     node made
 */
#include "inject.h"
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <linux/falloc.h>
#include <linux/fs.h>

static const char *root;
static size_t root_length;
static dev_t root_device;
static int is_on;

__attribute__((constructor)) static void begin(void) {
	pass_on("LD_PRELOAD");
	pass_on("RECORD_ROOT");
	pass_on("RECORD_FD");
	root = getenv("RECORD_ROOT");
	if (!root) return;
	const char *number = getenv("RECORD_FD"), *file = getenv("RECORD_LOG");
	if (number) shared_fd = atoi(number);
	else if (file) {
		int opened = syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND, 0600);
		shared_fd = fcntl(opened, F_DUPFD, 200);
		syscall(SYS_close, opened);
		char text[16];
		snprintf(text, sizeof text, "%d", shared_fd);
		setenv("RECORD_FD", text, 1);
		pass_on("RECORD_FD");
	}
	struct stat found;
	root_length = strlen(root);
	is_on = is_node() && shared_fd >= 0 && stat(root, &found) == 0;
	if (is_on) root_device = found.st_dev;
}

static int is_below(const char *path) {
	return strncmp(path, root, root_length) == 0 && (path[root_length] == '/' || !path[root_length]);
}

static void put(char op, ino_t inode, long long a, long long b, const char *path, const char *path2, const void *bytes, size_t length) {
	char head[2 * PATH_MAX + 128];
	int size = snprintf(head, sizeof head, "%c%c%llu%c%lld%c%lld%c%s%c%s%c%zu%c", op, 0, (unsigned long long)inode, 0, a, 0, b, 0, path, 0, path2, 0, length, 0);
	struct iovec parts[2] = {{head, size}, {(void *)bytes, length}};
	int before = errno;
	syscall(SYS_writev, shared_fd, parts, length ? 2 : 1);
	errno = before;
}

/* The inode of a plain file or directory of the right device; 0 for anything else. */
static ino_t inode_of(int fd) {
	struct stat found;
	if (!is_on || fd < 0 || fd == shared_fd || fstat(fd, &found)) return 0;
	return found.st_dev == root_device && (S_ISREG(found.st_mode) || S_ISDIR(found.st_mode)) ? found.st_ino : 0;
}

/* The absolute name, of which the last part may be a link; 0 when it is not below the directory. */
static const char *resolve(int dir, const char *path, char *room) {
	if (!is_on || !path || !*path) return 0;
	if (*path == '/') snprintf(room, PATH_MAX, "%s", path);
	else {
		char link[32], base[PATH_MAX];
		snprintf(link, sizeof link, dir == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", dir);
		ssize_t length = readlink(link, base, sizeof base - 1);
		if (length < 0) return 0;
		base[length] = 0;
		if (strlen(base) + strlen(path) + 2 > PATH_MAX) return 0;
		strcpy(room, base);
		strcat(room, "/");
		strcat(room, path);
	}
	return is_below(room) ? room + root_length : 0;
}

static void written(int fd, off_t at, const struct iovec *parts, int n, ssize_t done) {
	ino_t inode = done > 0 ? inode_of(fd) : 0;
	if (!inode) return;
	char *all = malloc(done), *end = all;
	for (int i = 0; i < n && end < all + done; i++) {
		size_t left = all + done - end, length = parts[i].iov_len < left ? parts[i].iov_len : left;
		memcpy(end, parts[i].iov_base, length);
		end += length;
	}
	if (at < 0) at = lseek(fd, 0, SEEK_CUR) - done;
	put('W', inode, at, done, "", "", all, done);
	free(all);
}

/* What lies in a file now, where no buffer of ours held it. */
static void copied(int fd, off_t at, size_t length) {
	ino_t inode = inode_of(fd);
	if (!inode) return;
	char name[32];
	snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	int file = syscall(SYS_openat, AT_FDCWD, name, O_RDONLY | O_CLOEXEC);
	char *bytes = malloc(length);
	ssize_t got = file < 0 ? -1 : syscall(SYS_pread64, file, bytes, length, at);
	if (got > 0) put('W', inode, at, got, "", "", bytes, got);
	if (file >= 0) syscall(SYS_close, file);
	free(bytes);
}

static int opened(int fd, int dir, const char *path, int flags, int was_there) {
	char room[PATH_MAX];
	struct stat found;
	if (fd < 0 || !is_on || !(flags & (O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY))) || fstat(fd, &found) || !S_ISREG(found.st_mode)) return fd;
	if ((flags & O_TMPFILE) == O_TMPFILE) {
		if (inode_of(fd)) put('C', found.st_ino, found.st_mode & 07777, 0, "", "", 0, 0);
		return fd;
	}
	const char *name = resolve(dir, path, room);
	if (!name) return fd;
	if (!was_there) put('C', found.st_ino, found.st_mode & 07777, 0, name, "", 0, 0);
	else if (flags & O_TRUNC) put('T', found.st_ino, 0, 0, "", "", 0, 0);
	return fd;
}

static int is_there(int dir, const char *path, int flags) {
	struct stat found;
	return is_on && path && (flags & O_CREAT) && fstatat(dir, path, &found, 0) == 0;
}

#define MODE(flags)                                                       \
	va_list list;                                                         \
	va_start(list, flags);                                                \
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0; \
	va_end(list)
#define OPEN(name)                                                        \
	int name(const char *path, int flags, ...) {                          \
		MODE(flags);                                                      \
		int there = is_there(AT_FDCWD, path, flags);                      \
		return opened(NEXT(name)(path, flags, mode), AT_FDCWD, path, flags, there || !(flags & O_CREAT)); \
	}
#define OPENAT(name)                                                      \
	int name(int dir, const char *path, int flags, ...) {                 \
		MODE(flags);                                                      \
		int there = is_there(dir, path, flags);                           \
		return opened(NEXT(name)(dir, path, flags, mode), dir, path, flags, there || !(flags & O_CREAT)); \
	}
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

#define WRITE(name, parameters, parts, n, at, ...)      \
	ssize_t name parameters {                           \
		ssize_t done = NEXT(name)(__VA_ARGS__);         \
		written(fd, at, parts, n, done);                \
		return done;                                    \
	}
#define ONE (&(struct iovec){(void *)buffer, size})
WRITE(write, (int fd, const void *buffer, size_t size), ONE, 1, -1, fd, buffer, size)
WRITE(pwrite, (int fd, const void *buffer, size_t size, off_t at), ONE, 1, at, fd, buffer, size, at)
WRITE(pwrite64, (int fd, const void *buffer, size_t size, off64_t at), ONE, 1, at, fd, buffer, size, at)
WRITE(writev, (int fd, const struct iovec *parts, int n), parts, n, -1, fd, parts, n)
WRITE(pwritev, (int fd, const struct iovec *parts, int n, off_t at), parts, n, at, fd, parts, n, at)
WRITE(pwritev64, (int fd, const struct iovec *parts, int n, off64_t at), parts, n, at, fd, parts, n, at)

ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t size, unsigned flags) {
	ssize_t done = NEXT(copy_file_range)(in, from, out, to, size, flags);
	if (done > 0) copied(out, to ? *to - done : lseek(out, 0, SEEK_CUR) - done, done);
	return done;
}

#define AFTER(type, name, parameters, record, ...)      \
	type name parameters {                              \
		type result = NEXT(name)(__VA_ARGS__);          \
		if (result == 0 && is_on) { record; }           \
		return result;                                  \
	}
#define OF_FD(op, a, b) { ino_t inode = inode_of(fd); if (inode) put(op, inode, a, b, "", "", 0, 0); }
AFTER(int, fsync, (int fd), OF_FD('S', 0, 0), fd)
AFTER(int, fdatasync, (int fd), OF_FD('S', 0, 0), fd)
AFTER(int, syncfs, (int fd), OF_FD('A', 0, 0), fd)
AFTER(int, ftruncate, (int fd, off_t size), OF_FD('T', size, 0), fd, size)
AFTER(int, ftruncate64, (int fd, off64_t size), OF_FD('T', size, 0), fd, size)
AFTER(int, fchmod, (int fd, mode_t mode), OF_FD('M', mode, 0), fd, mode)

int fallocate(int fd, int mode, off_t at, off_t size) {
	int result = NEXT(fallocate)(fd, mode, at, size);
	if (result == 0 && is_on && (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))) OF_FD('Z', at, size)
	return result;
}

int ioctl(int fd, unsigned long request, ...) {
	va_list list;
	va_start(list, request);
	void *argument = va_arg(list, void *);
	va_end(list);
	int result = NEXT(ioctl)(fd, request, argument);
	struct stat found;
	if (result == 0 && request == FICLONE && is_on && fstat(fd, &found) == 0) copied(fd, 0, found.st_size);
	return result;
}

static void made(char op, int dir, const char *path, const void *bytes, size_t length) {
	char room[PATH_MAX];
	struct stat found;
	const char *name = resolve(dir, path, room);
	if (name && fstatat(dir, path, &found, AT_SYMLINK_NOFOLLOW) == 0) put(op, found.st_ino, found.st_mode & (op == 'N' ? ~0 : 07777), 0, name, "", bytes, length);
}
AFTER(int, mkdir, (const char *path, mode_t mode), made('D', AT_FDCWD, path, 0, 0), path, mode)
AFTER(int, mkdirat, (int dir, const char *path, mode_t mode), made('D', dir, path, 0, 0), dir, path, mode)
AFTER(int, symlink, (const char *target, const char *path), made('Y', AT_FDCWD, path, target, strlen(target)), target, path)
AFTER(int, symlinkat, (const char *target, int dir, const char *path), made('Y', dir, path, target, strlen(target)), target, dir, path)
AFTER(int, link, (const char *from, const char *path), made('L', AT_FDCWD, path, 0, 0), from, path)
AFTER(int, linkat, (int from_dir, const char *from, int dir, const char *path, int flags), made('L', dir, path, 0, 0), from_dir, from, dir, path, flags)
AFTER(int, mknodat, (int dir, const char *path, mode_t mode, dev_t device), made('N', dir, path, 0, 0), dir, path, mode, device)

static void moded(int dir, const char *path) {
	struct stat found;
	char room[PATH_MAX];
	if (resolve(dir, path, room) && fstatat(dir, path, &found, 0) == 0) put('M', found.st_ino, found.st_mode & 07777, 0, "", "", 0, 0);
}
AFTER(int, chmod, (const char *path, mode_t mode), moded(AT_FDCWD, path), path, mode)
AFTER(int, fchmodat, (int dir, const char *path, mode_t mode, int flags), moded(dir, path), dir, path, mode, flags)

/* Names that go are taken before they are gone. */
#define GOES(name, parameters, op, d1, p1, d2, p2, ...)                   \
	int name parameters {                                                 \
		char one[PATH_MAX], two[PATH_MAX];                                \
		const char *from = resolve(d1, p1, one), *to = resolve(d2, p2, two); \
		int result = NEXT(name)(__VA_ARGS__);                             \
		if (result == 0 && from) put(op, 0, 0, 0, from, to ? to : "", 0, 0); \
		return result;                                                    \
	}
GOES(unlink, (const char *path), 'U', AT_FDCWD, path, 0, 0, path)
GOES(rmdir, (const char *path), 'U', AT_FDCWD, path, 0, 0, path)
GOES(unlinkat, (int dir, const char *path, int flags), 'U', dir, path, 0, 0, dir, path, flags)
GOES(rename, (const char *path, const char *to_path), 'R', AT_FDCWD, path, AT_FDCWD, to_path, path, to_path)
GOES(renameat, (int dir, const char *path, int to_dir, const char *to_path), 'R', dir, path, to_dir, to_path, dir, path, to_dir, to_path)

long syscall(long number, ...) {
	long a[6];
	va_list list;
	va_start(list, number);
	for (int i = 0; i < 6; i++) a[i] = va_arg(list, long);
	va_end(list);
	long (*real)(long, ...) = NEXT(syscall);
	if (number == SYS_renameat2) {
		char one[PATH_MAX], two[PATH_MAX];
		const char *from = resolve(a[0], (char *)a[1], one), *to = resolve(a[2], (char *)a[3], two);
		long result = real(number, a[0], a[1], a[2], a[3], a[4]);
		if (result == 0 && from && to) put(a[4] & RENAME_EXCHANGE ? 'X' : 'R', 0, 0, 0, from, to, 0, 0);
		return result;
	}
	int there = 0;
	struct open_how_ { unsigned long long flags, mode, resolve; } *how = (void *)a[2];
	if (number == SYS_openat2) there = is_there(a[0], (char *)a[1], how->flags) || !(how->flags & O_CREAT);
	long result = real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (number == SYS_openat2) return opened(result, a[0], (char *)a[1], how->flags, there);
	if (number == SYS_close_range && result == 0) keep_shared();
	return result;
}
