/*
 * Blocks of bzip2 on other threads, for src/sys/bzip2-decoder.ts only. Blocks depend on nothing before them, but begin at
 * any bit: they are found by their mark, and several are decoded in one step (bzip2-block.h says why).
 */
#define _GNU_SOURCE
#include "bzip2-block.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "step.h"

enum { HUGE_PAGE = 2 << 20, WAYS = 32 };

static const uint64_t block_mark = 0x314159265359, end_mark = 0x177245385090;

/* One for each thread that makes texts, good for all groups. */
struct room {
  struct bzip2_room *memory;
};

/* Blocks that are decoded in one step, and then expanded one after the other. */
struct group {
  struct step step;
  struct bzip2_block blocks[BZIP2_BESIDE];
  size_t count;
  uint32_t most;
  int64_t bits[BZIP2_BESIDE * 2];
  const uint8_t *bytes;
  struct room *room;
};

void register_bzip2_decoder(napi_env env, napi_value exports);

static napi_value number_of(napi_env env, int64_t value) {
  napi_value result = NULL;
  napi_create_int64(env, value, &result);
  return result;
}

/* Two bytes that lie inside of a mark, in every way that they can: a bit for each pair. */
static uint8_t inside[(1 << 16) / 8];

__attribute__((constructor)) static void make_inside(void) {
  for (int shift = 0; shift < WAYS; shift++)
    for (int index = 0; index < 2; index++) {
      uint16_t pair = (index ? end_mark : block_mark) >> shift;
      inside[pair / 8] |= 1 << pair % 8;
    }
}

static uint64_t bits_at(const uint8_t *bytes, size_t length, int64_t bit, int count) {
  uint64_t value = 0;
  for (int64_t index = bit / 8; index <= (bit + count - 1) / 8; index++)
    value = value << 8 | (index < (int64_t)length ? bytes[index] : 0);
  int behind = 7 - (bit + count - 1) % 8;
  return value >> behind & ((UINT64_C(1) << count) - 1);
}

/* A mark has five whole bytes at least, so one of every four pairs lies inside of it. */
static int64_t find_mark(const uint8_t *bytes, size_t length, int64_t from) {
  for (int64_t offset = from / 8 + 1; offset + 1 < (int64_t)length; offset += 4) {
    uint16_t pair = bytes[offset] << 8 | bytes[offset + 1];
    if (!(inside[pair / 8] >> pair % 8 & 1)) continue;
    for (int shift = 0; shift < WAYS; shift++) {
      int64_t bit = (offset - 4 + shift / 8) * 8 + shift % 8;
      if (bit < from || bit + BZIP2_MARK_BITS > (int64_t)length * 8) continue;
      uint64_t found = bits_at(bytes, length, bit, BZIP2_MARK_BITS);
      if (found == block_mark || found == end_mark) return bit * 2 + (found == end_mark);
    }
  }
  return -1;
}

/* bzip2Find(bytes, from): the first mark at or behind that bit that lies wholly inside, as its bit times two, and one
   more if it ends a stream; -1 if there is none. */
static napi_value sys_bzip2_find(napi_env env, napi_callback_info info) {
  napi_value values[2];
  size_t count = 2, length = 0;
  void *data = NULL;
  int64_t from = 0;
  if (napi_get_cb_info(env, info, &count, values, NULL, NULL) != napi_ok || count != 2 ||
      napi_get_buffer_info(env, values[0], &data, &length) != napi_ok ||
      napi_get_value_int64(env, values[1], &from) != napi_ok || from < 0)
    return number_of(env, -1);
  return number_of(env, find_mark(data, length, from));
}

static void finalize_room(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  struct room *room = data;
  free(room->memory);
  free(room);
}

/* bzip2Room(): room for a group; undefined where there is no memory. The accesses are scattered over all of it, which
   large pages make cheaper. */
static napi_value sys_bzip2_room(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value result = NULL;
  napi_get_undefined(env, &result);
  size_t size = (sizeof(struct bzip2_room) + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
  struct room *room = calloc(1, sizeof *room);
  if (room) room->memory = aligned_alloc(HUGE_PAGE, size);
  if (!room || !room->memory) {
    free(room);
    return result;
  }
  madvise(room->memory, size, MADV_HUGEPAGE);
  napi_create_external(env, room, finalize_room, NULL, &result);
  return result;
}

/* bzip2RoomEnd(room): gives its memory back, before somebody collects what is not used. */
static napi_value sys_bzip2_room_end(napi_env env, napi_callback_info info) {
  napi_value value = NULL;
  size_t count = 1;
  void *data = NULL;
  if (napi_get_cb_info(env, info, &count, &value, NULL, NULL) != napi_ok || count != 1 ||
      napi_get_value_external(env, value, &data) != napi_ok)
    return NULL;
  struct room *room = data;
  free(room->memory);
  room->memory = NULL;
  return NULL;
}

static void drop_text(struct bzip2_block *block) {
  free(block->text);
  block->text = NULL;
}

static void finalize_group(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  struct group *group = data;
  for (size_t index = 0; index < group->count; index++) drop_text(&group->blocks[index]);
  free(group);
}

/* How many blocks, from the first on, can be expanded; the one behind them is none. */
static int64_t decode(struct step *step) {
  struct group *group = (struct group *)step;
  struct bzip2_block *blocks[BZIP2_BESIDE];
  size_t good = 0;
  for (; good < group->count; good++) {
    struct bzip2_block *block = &group->blocks[good];
    block->text = malloc(group->most);
    if (!block->text) return -ENOMEM;
    if (!bzip2_read_block(block, group->bytes, group->bits[good * 2], group->bits[good * 2 + 1], group->most)) break;
    blocks[good] = block;
  }
  bzip2_invert_blocks(blocks, good, group->room->memory);
  for (size_t index = good; index < group->count; index++) drop_text(&group->blocks[index]);
  return good;
}

/* Pairs of bits, in doubles, of blocks that lie inside and have the length of a head at least. */
static bool take_bits(struct group *group, const void *data, size_t size, size_t length) {
  double pairs[BZIP2_BESIDE * 2];
  group->count = size / sizeof *pairs / 2;
  if (size == 0 || size > sizeof pairs || size != group->count * 2 * sizeof *pairs) return false;
  memcpy(pairs, data, size);
  for (size_t index = 0; index < group->count; index++) {
    double from = pairs[index * 2], to = pairs[index * 2 + 1];
    if (!(from >= 0 && from + BZIP2_MARK_BITS + BZIP2_CRC_BITS <= to && to <= length * 8.0)) return false;
    group->bits[index * 2] = from;
    group->bits[index * 2 + 1] = to;
  }
  return true;
}

/* bzip2Decode(room, bytes, pairs, most): a group, and a promise of how many of its blocks, each between a pair of bits
   and of no more bytes before it is expanded, are good. The room does for one at a time. */
static napi_value sys_bzip2_decode(napi_env env, napi_callback_info info) {
  enum { ROOM, BYTES, PAIRS, MOST, ALL };
  napi_value values[ALL], handle = NULL, result = NULL;
  size_t count = ALL, length = 0, size = 0;
  void *room = NULL, *bytes = NULL, *pairs = NULL;
  struct group *group = calloc(1, sizeof *group);
  bool isGood = group && napi_get_cb_info(env, info, &count, values, NULL, NULL) == napi_ok && count == ALL &&
                napi_get_value_external(env, values[ROOM], &room) == napi_ok &&
                napi_get_buffer_info(env, values[BYTES], &bytes, &length) == napi_ok &&
                napi_get_buffer_info(env, values[PAIRS], &pairs, &size) == napi_ok &&
                napi_get_value_uint32(env, values[MOST], &group->most) == napi_ok && group->most >= 1 &&
                group->most <= BZIP2_MAX_TEXT && take_bits(group, pairs, size, length);
  if (!isGood || !((struct room *)room)->memory) {
    free(group);
    napi_throw_type_error(env, NULL, "bzip2Decode takes a room, bytes, bits of one or two blocks, and a size");
    return NULL;
  }
  group->bytes = bytes;
  group->room = room;
  group->step.run = decode;
  napi_create_external(env, group, finalize_group, NULL, &handle);
  napi_value kept[] = {handle, values[ROOM], values[BYTES]};
  napi_create_array_with_length(env, 2, &result);
  napi_set_element(env, result, 0, handle);
  napi_set_element(env, result, 1, start_step(env, &group->step, "imgctl:bzip2Decode", kept, 3));
  return result;
}

/* bzip2Expand(group, index, output): the next bytes of a block, as many as there is room for; fewer are the last, and a
   negative errno says that they are not those that were packed. */
static napi_value sys_bzip2_expand(napi_env env, napi_callback_info info) {
  napi_value values[3];
  size_t count = 3, room = 0;
  void *data = NULL, *output = NULL;
  uint32_t index = 0;
  if (napi_get_cb_info(env, info, &count, values, NULL, NULL) != napi_ok || count != 3 ||
      napi_get_value_external(env, values[0], &data) != napi_ok ||
      napi_get_value_uint32(env, values[1], &index) != napi_ok ||
      napi_get_buffer_info(env, values[2], &output, &room) != napi_ok)
    return number_of(env, -EINVAL);
  struct group *group = data;
  if (group->step.work || index >= group->count || !group->blocks[index].text) return number_of(env, -EINVAL);
  struct bzip2_block *block = &group->blocks[index];
  size_t made = bzip2_expand(block, output, room);
  if (made == room) return number_of(env, made);
  drop_text(block);
  return number_of(env, bzip2_is_sound(block) ? (int64_t)made : -EBADMSG);
}

void register_bzip2_decoder(napi_env env, napi_value exports) {
  static const struct export calls[] = {{"bzip2Find", sys_bzip2_find},
                                        {"bzip2Room", sys_bzip2_room},
                                        {"bzip2RoomEnd", sys_bzip2_room_end},
                                        {"bzip2Decode", sys_bzip2_decode},
                                        {"bzip2Expand", sys_bzip2_expand}};
  export_calls(env, exports, calls, sizeof calls / sizeof *calls);
}
