/* What src/sys/entry-batch.ts collects and entry-batch.c makes; tar-entries.c collects too. */
#ifndef ENTRY_BATCH_H
#define ENTRY_BATCH_H
#include <stdint.h>

/* As src/sys/entry-batch.ts numbers them. BEGIN, PART and END make up a file that comes in pieces; FINISH gives a directory
   what it is to have. */
enum { DIRECTORY, WHOLE, SYMLINK, LINK, BEGIN, PART, END, FINISH };

/* One entry, as src/sys/entry-batch.ts writes it; `path` and `other` are offsets of text, `start` is one of contents. */
struct entry {
  int64_t mtime; /* nanoseconds */
  uint32_t kind, path, other, start, length, uid, gid, mode;
};
#endif
