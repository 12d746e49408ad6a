/* Texts of blocks of bzip2, from the last columns of their rotations to the bytes: see bzip2-block.h. */
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

struct walk {
  uint8_t *out;
  const uint32_t *links;
  uint32_t place, left;
};

static inline void step(struct walk *walk) {
  uint32_t link = walk->links[walk->place];
  *walk->out++ = link;
  walk->place = link >> 8;
}

/* Every step waits for the memory of the one before, so several walks are done in turns. */
static void walk_all(struct walk *walks, size_t count) {
  while (count > 0) {
    uint32_t least = walks[0].left;
    for (size_t index = 1; index < count; index++)
      if (walks[index].left < least) least = walks[index].left;
    if (count == 4) {
      struct walk a = walks[0], b = walks[1], c = walks[2], d = walks[3];
      for (uint32_t left = least; left > 0; left--) step(&a), step(&b), step(&c), step(&d);
      walks[0] = a, walks[1] = b, walks[2] = c, walks[3] = d;
    } else if (count == 3) {
      struct walk a = walks[0], b = walks[1], c = walks[2];
      for (uint32_t left = least; left > 0; left--) step(&a), step(&b), step(&c);
      walks[0] = a, walks[1] = b, walks[2] = c;
    } else if (count == 2) {
      struct walk a = walks[0], b = walks[1];
      for (uint32_t left = least; left > 0; left--) step(&a), step(&b);
      walks[0] = a, walks[1] = b;
    } else {
      struct walk a = walks[0];
      for (uint32_t left = least; left > 0; left--) step(&a);
    }
    size_t going = 0;
    for (size_t index = 0; index < count; index++) {
      walks[index].left -= least;
      if (walks[index].left > 0) walks[going++] = walks[index];
    }
    count = going;
  }
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

void bzip2_invert_blocks(struct bzip2_block *const *blocks, size_t count, uint32_t *const *links) {
  struct walk walks[BZIP2_BESIDE];
  for (size_t index = 0; index < count; index++) {
    link_rotations(blocks[index], links[index]);
    walks[index] = (struct walk){blocks[index]->text, links[index], blocks[index]->origin, blocks[index]->length};
  }
  walk_all(walks, count);
  for (size_t index = 0; index < count; index++)
    if (blocks[index]->isRandomised) turn_bits(blocks[index]);
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
