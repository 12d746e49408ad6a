/* Texts of blocks of bzip2, from the last columns of their rotations to the bytes: see bzip2-block.h. */
#include <endian.h>
#include <string.h>

#include "bzip2-block.h"
#include "bzip2-random.h"

enum { RUN = 4, WORD = 8, VALUES = 256 };

/* For each place of the first column its value, and above it the place of what follows. */
static void link_rotations(const struct bzip2_block *block, uint32_t *links) {
  uint32_t next[VALUES] = {0}, sum = 0;
  const uint8_t *column = block->text;
  for (uint32_t index = 0; index < block->length; index++) next[column[index]]++;
  for (int value = 0; value < VALUES; value++) {
    uint32_t count = next[value];
    next[value] = sum;
    sum += count;
  }
  for (uint32_t index = 0; index < block->length; index++) {
    uint8_t value = column[index];
    links[next[value]++] = index << 8 | value;
  }
}

/* Makes of them those of pairs, for two bytes in one step. Places are sorted by what they begin with, so pairs are numbered
   as they come: a link holds how many are new since the beginning of its page, and above that the place behind the pair.
   It is as small as can be: all links together are hardly as large as the caches of a core. */
static void link_pairs(const uint32_t *links, uint32_t length, struct bzip2_pairs *pairs) {
  uint32_t number = 0, page = 0;
  uint16_t before = 0;
  for (uint32_t place = 0; place < length; place++) {
    uint32_t first = links[place], second = links[first >> 8];
    uint16_t value = (first & 0xff) << 8 | (second & 0xff);
    if (value != before || place == 0) {
      number += place > 0;
      before = value;
      pairs->values[number] = htobe16(value);
    }
    if (place % BZIP2_PAGE == 0) pairs->pages[place / BZIP2_PAGE] = page = number;
    uint32_t link = htole32(second >> 8 << BZIP2_PAGE_BITS | (number - page));
    memcpy(pairs->links + (size_t)place * BZIP2_LINK_BYTES, &link, sizeof link);
  }
}

struct walk {
  uint8_t *out;
  const struct bzip2_pairs *pairs;
  uint32_t place, left;
};

static inline const uint16_t *pair_at(const struct walk *walk, uint32_t link) {
  return &walk->pairs->values[walk->pairs->pages[walk->place / BZIP2_PAGE] + link % BZIP2_PAGE];
}

static inline uint32_t link_at(const struct walk *walk) {
  uint32_t link;
  memcpy(&link, walk->pairs->links + (size_t)walk->place * BZIP2_LINK_BYTES, sizeof link);
  return le32toh(link) & 0xffffff;
}

static inline void step(struct walk *walk) {
  uint32_t link = link_at(walk);
  memcpy(walk->out, pair_at(walk, link), 2);
  walk->out += 2;
  walk->place = link >> BZIP2_PAGE_BITS;
}

/* Every step waits for the memory of the one before, so two walks are done in turns. */
static void walk_beside(struct walk *first, struct walk *second) {
  struct walk a = *first, b = *second;
  uint32_t least = a.left < b.left ? a.left : b.left;
  a.left -= least, b.left -= least;
  while (least-- > 0) step(&a), step(&b);
  *first = a, *second = b;
}

/* The last byte but one of every distance. */
static void turn_bits(struct bzip2_block *block) {
  uint32_t start = 0;
  for (int index = 0;; index = (index + 1) % BZIP2_RANDOM) {
    uint32_t place = start + bzip2_distances[index] - 2;
    if (place >= block->length) return;
    block->text[place] ^= 1;
    start += bzip2_distances[index];
  }
}

static void end_walk(struct walk *walk, struct bzip2_block *block) {
  struct walk last = *walk;
  while (last.left-- > 0) step(&last);
  if (block->length % 2) memcpy(last.out, pair_at(&last, link_at(&last)), 1);
  if (block->isRandomised) turn_bits(block);
}

void bzip2_invert_blocks(struct bzip2_block *const *blocks, size_t count, struct bzip2_room *room) {
  struct walk walks[BZIP2_BESIDE];
  for (size_t index = 0; index < count; index++) {
    struct bzip2_block *block = blocks[index];
    link_rotations(block, room->links);
    link_pairs(room->links, block->length, &room->pairs[index]);
    walks[index] = (struct walk){block->text, &room->pairs[index], block->origin, block->length / 2};
  }
  if (count == 2) walk_beside(&walks[0], &walks[1]);
  for (size_t index = 0; index < count; index++) end_walk(&walks[index], blocks[index]);
}

/* Where the next four equal bytes begin, or the end. */
static uint32_t find_run(const uint8_t *text, uint32_t position, uint32_t end) {
  const uint64_t ones = UINT64_C(0x0101010101010101), lows = ones * 0x7f;
  while (position + WORD + 1 <= end) {
    uint64_t here, behind;
    memcpy(&here, text + position, sizeof here);
    memcpy(&behind, text + position + 1, sizeof behind);
    uint64_t other = here ^ behind;
    uint64_t equal = ~(((other & lows) + lows) | other | lows); /* the top bit of bytes that are like the next */
    if (equal & equal >> 8 & equal >> 16) break;
    position += WORD - RUN + 2;
  }
  for (; position + RUN <= end; position++)
    if (text[position] == text[position + 1] && text[position] == text[position + 2] &&
        text[position] == text[position + 3])
      return position;
  return end;
}

/* Four equal bytes are followed by one that tells how many more there are. */
static void find_next(struct bzip2_block *block) {
  uint32_t run = find_run(block->text, block->position, block->length);
  block->plainEnd = run < block->length ? run + RUN : run;
  block->hasRun = run < block->length;
}

size_t bzip2_expand(struct bzip2_block *block, uint8_t *out, size_t room) {
  const uint8_t *text = block->text;
  size_t made = 0;
  while (made < room) {
    size_t left = room - made;
    if (block->repeats > 0) {
      size_t count = block->repeats < left ? block->repeats : left;
      memset(out + made, block->repeated, count);
      block->repeats -= count;
      made += count;
    } else if (block->position < block->plainEnd) {
      size_t plain = block->plainEnd - block->position, count = plain < left ? plain : left;
      memcpy(out + made, text + block->position, count);
      block->position += count;
      made += count;
    } else if (block->position == block->length) {
      break;
    } else if (block->hasRun) {
      block->repeated = text[block->position - 1];
      block->repeats = text[block->position++];
      block->hasRun = false;
    } else {
      find_next(block);
    }
  }
  block->computed = bzip2_checksum(block->computed, out, made);
  return made;
}

bool bzip2_is_sound(const struct bzip2_block *block) {
  return block->position == block->length && block->repeats == 0 && !block->hasRun &&
         ~block->computed == block->checksum;
}
