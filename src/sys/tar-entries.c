/*
 * Collects what an archive is mostly made of for src/sys/entry-batch.ts: files that lie in the chunk as a whole, directories and
 * symbolic links, in headers of ustar or GNU with nothing unusual about them. It stops at the first other one, which
 * src/formats/tar-reader.ts looks at, and so it decides about nothing that is damaged, refused or rare. Nothing is made here.
 */
#define _GNU_SOURCE
#include <stdbool.h>
#include <string.h>

#include "entry-batch.h"
#include "step.h"

enum { BLOCK = 512, NAME = 100, PREFIX = 155, LONGEST_PATH = 255 };

/* Where things lie in a header. */
enum {
  MODE_AT = 100, OWNER_AT = 108, GROUP_AT = 116, SIZE_AT = 124, TIME_AT = 136, CHECKSUM_AT = 148, TYPE_AT = 156,
  LINK_AT = 157, MAGIC_AT = 257, MAJOR_AT = 329, MINOR_AT = 337, PREFIX_AT = 345, STAR_AT = 508
};

/* As src/sys/entry-batch.ts fills it; all but the last two are answers too. */
struct collection {
  uint32_t count, names_end, from, end, most;
};

struct batch {
  struct entry *entries;
  char *names;
  size_t names_length;
  const uint8_t *contents;
  struct collection *at;
};

void register_tar_entries(napi_env env, napi_value exports);

static bool is_blank(uint8_t byte) {
  return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* Digits between optional blanks, ended by a blank, a NUL or the end of the field. */
static bool octal(const uint8_t *field, size_t length, uint64_t *value) {
  size_t index = 0;
  *value = 0;
  while (index < length && is_blank(field[index])) index++;
  for (; index < length && field[index] >= '0' && field[index] <= '7'; index++) *value = *value * 8 + field[index] - '0';
  while (index < length && is_blank(field[index])) index++;
  return index == length || field[index] == 0;
}

/* The checksum counts itself as blanks. */
static bool is_header(const uint8_t *header) {
  uint64_t recorded;
  if (!octal(header + CHECKSUM_AT, 8, &recorded)) return false;
  uint32_t sum = 8 * ' ';
  for (size_t index = 0; index < BLOCK; index++) sum += header[index];
  for (size_t index = 0; index < 8; index++) sum -= header[CHECKSUM_AT + index];
  return recorded == sum;
}

/* No part is empty, `.` or `..`. */
static bool is_plain(const char *path) {
  for (const char *part = path;; part++) {
    const char *end = strchrnul(part, '/');
    size_t length = end - part;
    if (length == 0 || (part[0] == '.' && (length == 1 || (length == 2 && part[1] == '.')))) return false;
    if (!*end) return true;
    part = end;
  }
}

/* Puts the path behind the other names as `plainPath` of src/engine/embedded/entry-path.ts has it; 0 where it is unusual.
   There is room. */
static size_t put_path(char *to, const uint8_t *header, bool isPosix, bool isDirectory) {
  char text[PREFIX + 1 + NAME + 1];
  size_t length = 0;
  if (isPosix && header[PREFIX_AT]) {
    length = strnlen((const char *)header + PREFIX_AT, PREFIX);
    memcpy(text, header + PREFIX_AT, length);
    text[length++] = '/';
  }
  size_t name = strnlen((const char *)header, NAME);
  memcpy(text + length, header, name);
  length += name;
  size_t start = length >= 2 && text[0] == '.' && text[1] == '/' ? 2 : 0;
  if (length > start && text[length - 1] == '/') {
    if (!isDirectory) return 0; /* to old writers that is a directory */
    length--;
  }
  if (length - start > LONGEST_PATH) return 0;
  text[length] = 0;
  if (!is_plain(text + start)) return 0;
  memcpy(to, text + start, length - start + 1);
  return length - start + 1;
}

static size_t put_link(char *to, const uint8_t *header) {
  size_t length = strnlen((const char *)header + LINK_AT, NAME);
  memcpy(to, header + LINK_AT, length);
  to[length] = 0;
  return length == 0 ? 0 : length + 1;
}

/* All numbers but the size; false if one of them is not plain text. */
static bool read_numbers(const uint8_t *header, struct entry *entry) {
  uint64_t mode, uid, gid, time, device;
  if (!octal(header + MODE_AT, 8, &mode) || !octal(header + OWNER_AT, 8, &uid) || !octal(header + GROUP_AT, 8, &gid) ||
      !octal(header + TIME_AT, 12, &time) || !octal(header + MAJOR_AT, 8, &device) ||
      !octal(header + MINOR_AT, 8, &device) || time > INT64_MAX / 1000000000)
    return false;
  entry->mode = mode & 07777;
  entry->uid = uid;
  entry->gid = gid;
  entry->mtime = time * 1000000000;
  return true;
}

/* The entry at `from`, if it is a plain one: then `from` is behind it. */
static bool collect(struct batch *batch) {
  struct collection *at = batch->at;
  if (at->end - at->from < BLOCK || at->names_end + 2 * (LONGEST_PATH + 1) > batch->names_length) return false;
  const uint8_t *header = batch->contents + at->from;
  uint8_t type = header[TYPE_AT];
  bool isFile = type == '0' || type == 0, isDirectory = type == '5';
  bool isPosix = memcmp(header + MAGIC_AT, "ustar", 6) == 0;
  if ((!isFile && !isDirectory && type != '2') || (!isPosix && memcmp(header + MAGIC_AT, "ustar  ", 8) != 0) ||
      (isPosix && memcmp(header + STAR_AT, "tar", 4) == 0) || !is_header(header))
    return false;
  uint64_t size;
  struct entry entry = {.kind = isFile ? WHOLE : isDirectory ? DIRECTORY : SYMLINK, .path = at->names_end};
  if (!read_numbers(header, &entry) || !octal(header + SIZE_AT, 12, &size)) return false;
  if (isFile) {
    uint64_t room = at->end - at->from - BLOCK;
    if (size > room || (size + BLOCK - 1) / BLOCK * BLOCK > room) return false;
    entry.length = size;
    entry.start = size > 0 ? at->from + BLOCK : 0;
  }
  size_t path = put_path(batch->names + entry.path, header, isPosix, isDirectory);
  entry.other = type == '2' ? entry.path + path : entry.path;
  size_t link = type == '2' ? put_link(batch->names + entry.other, header) : 0;
  if (path == 0 || (type == '2' && link == 0)) return false;
  batch->entries[at->count++] = entry;
  at->names_end += path + link;
  at->from += BLOCK + (entry.length + BLOCK - 1) / BLOCK * BLOCK;
  return true;
}

/* collectTarEntries(table, names, contents, collection): collects from the one offset of the contents to the other. */
static napi_value sys_collect_tar_entries(napi_env env, napi_callback_info info) {
  enum { TABLE, NAMES, CONTENTS, COLLECTION, ALL };
  napi_value values[ALL];
  size_t count = ALL, lengths[ALL];
  void *starts[ALL];
  bool isGood = napi_get_cb_info(env, info, &count, values, NULL, NULL) == napi_ok && count == ALL;
  for (int index = TABLE; isGood && index < ALL; index++)
    isGood = napi_get_buffer_info(env, values[index], &starts[index], &lengths[index]) == napi_ok;
  struct collection *at = isGood ? starts[COLLECTION] : NULL;
  isGood = isGood && (uintptr_t)starts[TABLE] % _Alignof(struct entry) == 0 && lengths[COLLECTION] >= sizeof *at &&
           (uintptr_t)at % _Alignof(struct collection) == 0 && at->most <= lengths[TABLE] / sizeof(struct entry) &&
           at->from <= at->end && at->end <= lengths[CONTENTS];
  if (!isGood) {
    napi_throw_type_error(env, NULL, "collectTarEntries takes four buffers, two of them aligned, and offsets in them");
    return NULL;
  }
  struct batch batch = {starts[TABLE], starts[NAMES], lengths[NAMES], starts[CONTENTS], at};
  while (at->count < at->most && collect(&batch)) continue;
  return NULL;
}

void register_tar_entries(napi_env env, napi_value exports) {
  static const struct export calls[] = {{"collectTarEntries", sys_collect_tar_entries}};
  export_calls(env, exports, calls, sizeof calls / sizeof *calls);
}
