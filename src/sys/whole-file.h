/* Each returns 0, or -1 with errno set; then nothing was made. */
#ifndef WHOLE_FILE_H
#define WHOLE_FILE_H
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

int make_file(int dir, const char *path, const char *start, size_t length, const struct stat *wanted);
int make_symlink(int dir, const char *name, const char *target, const struct stat *wanted);
/* Gives an open file its owner, mode and time; false with errno set. */
bool finish_file(int fd, const struct stat *wanted);
int copy_file(int from_dir, const char *path, int to_dir);
#endif
