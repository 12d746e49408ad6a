/* Open directories below a top directory. Each was reached without following a link and without leaving the top. */
#ifndef KEPT_DIRECTORIES_H
#define KEPT_DIRECTORIES_H
#include <stddef.h>
#include <stdint.h>

enum { KEPT_DIRECTORIES = 12 }; /* so few: see EntryMaker of src/sys/entry-batch.ts */

struct kept_directory {
  char *path;
  size_t length;
  int fd; /* -1 in a free place */
  uint64_t used;
};

struct kept_directories {
  struct kept_directory all[KEPT_DIRECTORIES];
  uint64_t uses;
};

void begin_directories(struct kept_directories *kept);

/* Closes all of them; they are opened again when they are asked for. */
void close_directories(struct kept_directories *kept);

/* The directory that a path from the top lies in, and its name there; the next eleven calls leave it open. -1 with errno set
   where it is not there, or not to be reached so. */
int parent_of(struct kept_directories *kept, int top, const char *path, const char **name);

/* Opens a directory below the top in that way; the caller closes it. "" is the top. */
int open_beneath(int top, const char *path, int flags);
#endif
