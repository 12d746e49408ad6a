/*
 * Compares the names in a directory with thousands that ought to be there, without making a JavaScript string of any:
 * reading ten thousand into strings takes three times as long as the directory itself.
 *
 * missingNames(directory, wanted, suffix, takesDirectories), `wanted` joined by "/": an entry is the wanted NAME if it is a
 * regular file called NAME + suffix or, if directories are taken, a directory called NAME; if they are not, anything
 * called NAME + suffix. Gives how many are missing or, when none is, a Buffer of what the other entries with the suffix are
 * called without it, each followed by a NUL. Negative errno when the directory cannot be read.
 */
#define _GNU_SOURCE
#define NAPI_VERSION 9
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRIES_BYTES (256 * 1024)

struct wanted {
  const char *start;
  uint32_t length;
  bool is_seen;
};

struct check {
  char *text; /* of all names */
  struct wanted *names;
  uint32_t *slots; /* a hash table of numbers of names, 0 for none */
  size_t count, mask, seen;
  char *others;
  size_t others_bytes, others_room;
  const char *suffix;
  size_t suffix_length;
  bool takes_directories;
};

/* Eight bytes at a time: names are UUIDs as a rule, and there are as many as entries. */
static uint64_t hash(const char *bytes, size_t length) {
  uint64_t value = length, word = 0;
  for (; length > 0; bytes += sizeof word, length -= length < sizeof word ? length : sizeof word) {
    word = 0;
    memcpy(&word, bytes, length < sizeof word ? length : sizeof word);
    value = (value ^ word) * 0x9e3779b97f4a7c15u;
    value ^= value >> 32;
  }
  return value;
}

/* Where the name is, or would be. */
static size_t slot_of(const struct check *check, const char *name, size_t length) {
  size_t slot = hash(name, length) & check->mask;
  for (; check->slots[slot]; slot = (slot + 1) & check->mask) {
    const struct wanted *other = &check->names[check->slots[slot] - 1];
    if (other->length == length && memcmp(other->start, name, length) == 0) break;
  }
  return slot;
}

static bool split(struct check *check, size_t length) {
  size_t count = length > 0;
  for (size_t index = 0; index < length; index++) count += check->text[index] == '/';
  size_t size = 16;
  while (size < 2 * count) size *= 2;
  check->mask = size - 1;
  check->names = calloc(count + 1, sizeof *check->names);
  check->slots = calloc(size, sizeof *check->slots);
  if (!check->names || !check->slots) return false;
  for (char *start = check->text, *last = start + length; count > 0; count--) {
    char *end = memchr(start, '/', last - start);
    if (!end) end = last;
    const size_t slot = slot_of(check, start, end - start);
    if (!check->slots[slot]) {
      check->names[check->count] = (struct wanted){.start = start, .length = end - start};
      check->slots[slot] = ++check->count;
    }
    start = end + 1;
  }
  return true;
}

static bool keep_other(struct check *check, const char *name, size_t length) {
  if (check->others_bytes + length + 1 > check->others_room) {
    const size_t room = 2 * (check->others_room + length + 1);
    char *grown = realloc(check->others, room);
    if (!grown) return false;
    check->others = grown;
    check->others_room = room;
  }
  memcpy(check->others + check->others_bytes, name, length);
  check->others[check->others_bytes + length] = 0;
  check->others_bytes += length + 1;
  return true;
}

/* Whether the name was wanted. */
static bool mark(struct check *check, const char *name, size_t length) {
  const uint32_t number = check->slots[slot_of(check, name, length)];
  if (!number) return false;
  if (!check->names[number - 1].is_seen) check->seen++;
  check->names[number - 1].is_seen = true;
  return true;
}

static bool look_at(struct check *check, const char *name, unsigned char type) {
  const size_t length = strlen(name);
  if (check->takes_directories && type == DT_DIR) {
    mark(check, name, length);
    return true;
  }
  if (check->takes_directories && type != DT_REG) return true;
  if (length <= check->suffix_length) return true;
  const size_t stem = length - check->suffix_length;
  if (memcmp(name + stem, check->suffix, check->suffix_length) != 0) return true;
  return mark(check, name, stem) || keep_other(check, name, stem);
}

/* 0, or an errno. */
static int read_entries(struct check *check, const char *directory) {
  struct entry {
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
  };
  const int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno;
  char *entries = malloc(ENTRIES_BYTES);
  int error = entries ? 0 : ENOMEM;
  while (!error) {
    const long filled = syscall(SYS_getdents64, fd, entries, ENTRIES_BYTES);
    if (filled < 0) error = errno;
    if (filled <= 0) break;
    for (long at = 0; at < filled && !error;) {
      const struct entry *entry = (const struct entry *)(entries + at);
      if (!look_at(check, entry->name, entry->type)) error = ENOMEM;
      at += entry->length;
    }
  }
  free(entries);
  close(fd);
  return error;
}

/* A new string of the caller's, or null. */
static char *string_of(napi_env env, napi_value value, size_t *length) {
  if (napi_get_value_string_utf8(env, value, NULL, 0, length) != napi_ok) return NULL;
  char *text = malloc(*length + 1);
  if (text) napi_get_value_string_utf8(env, value, text, *length + 1, length);
  return text;
}

static napi_value missing_names(napi_env env, napi_callback_info info) {
  size_t count = 4, length = 0, ignored = 0;
  napi_value values[4], result = NULL;
  struct check check = {0};
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  napi_get_value_bool(env, values[3], &check.takes_directories);
  char *directory = string_of(env, values[0], &ignored);
  char *suffix = string_of(env, values[2], &check.suffix_length);
  check.text = string_of(env, values[1], &length);
  check.suffix = suffix;
  int error = EINVAL;
  if (directory && suffix && check.text && length < UINT32_MAX) {
    const bool is_whole = strlen(directory) == ignored;
    error = !is_whole ? EINVAL : split(&check, length) ? read_entries(&check, directory) : ENOMEM;
  }
  if (error || check.seen < check.count)
    napi_create_int64(env, error ? -error : (int64_t)(check.count - check.seen), &result);
  else
    napi_create_buffer_copy(env, check.others_bytes, check.others, NULL, &result);
  free(directory);
  free(suffix);
  free(check.text);
  free(check.names);
  free(check.slots);
  free(check.others);
  return result;
}

void register_missing_names(napi_env env, napi_value exports) {
  napi_value function = NULL;
  napi_create_function(env, "missingNames", NAPI_AUTO_LENGTH, missing_names, NULL, &function);
  napi_set_named_property(env, exports, "missingNames", function);
}
