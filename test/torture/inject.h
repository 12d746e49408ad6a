/*
 * For libraries that are preloaded into a program under test and into the programs that it starts, although those get a
 * clean environment: what the library needs is put back at each exec. Only Node is under test; wrappers between are not.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NEXT(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))

extern char **environ;

/* Names of variables that go on to the next program, besides LD_PRELOAD. */
#define MAX_PASSED 16
static char passed[MAX_PASSED][512];
static int passed_count;

/* A descriptor that stays open in all of them, or -1. */
static int shared_fd = -1;

static void pass_on(const char *name) {
	const char *value = getenv(name);
	if (!value || passed_count >= MAX_PASSED) return;
	char *text = passed[passed_count];
	if (strlen(name) + strlen(value) + 2 > sizeof passed[0]) return;
	strcpy(text, name);
	strcat(text, "=");
	strcat(text, value);
	passed_count++;
}

/* Whether this process is Node, and not what wraps it. */
static int is_node(void) {
	char file[512];
	ssize_t length = readlink("/proc/self/exe", file, sizeof file - 1);
	if (length < 5) return 0;
	file[length] = 0;
	return strcmp(file + length - 5, "/node") == 0;
}

static int is_passed(const char *variable) {
	for (int i = 0; i < passed_count; i++) {
		size_t length = strchr(passed[i], '=') - passed[i] + 1;
		if (strncmp(variable, passed[i], length) == 0) return 1;
	}
	return 0;
}

/* The environment with what is passed on; `room` is on the caller's stack, because other threads may hold the heap's lock. */
#define WITH_PASSED(from)                                                     \
	int count_ = 0;                                                           \
	while ((from) && (from)[count_]) count_++;                                \
	char *room_[count_ + MAX_PASSED + 1];                                     \
	int end_ = 0;                                                             \
	for (int i = 0; i < count_; i++)                                          \
		if (!is_passed((from)[i])) room_[end_++] = (from)[i];                 \
	for (int i = 0; i < passed_count; i++) room_[end_++] = passed[i];         \
	room_[end_] = 0

int execvp(const char *file, char *const arguments[]) {
	WITH_PASSED(environ);
	return NEXT(execvpe)(file, arguments, room_);
}

int execve(const char *file, char *const arguments[], char *const given[]) {
	WITH_PASSED(given);
	return NEXT(execve)(file, arguments, room_);
}

/* After the program marked all descriptors to be closed. */
static void keep_shared(void) {
	if (shared_fd >= 0) fcntl(shared_fd, F_SETFD, 0);
}
