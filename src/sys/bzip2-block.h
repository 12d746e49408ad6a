/*
 * One block of bzip2 in three stages: its symbols are read to the last column of the sorted rotations, the columns of
 * two blocks are turned into their texts side by side, and a text is expanded piece by piece. Knows nothing of Node;
 * what is no block that bzip2 itself takes is refused, and nothing is read or written outside of what is given.
 */
#ifndef BZIP2_BLOCK_H
#define BZIP2_BLOCK_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  BZIP2_MARK_BITS = 48,
  BZIP2_CRC_BITS = 32,
  BZIP2_LEVEL_BYTES = 100000,
  BZIP2_MAX_TEXT = 900000,
  BZIP2_BESIDE = 2, /* blocks whose texts are made side by side */
  BZIP2_LINK_BYTES = 3,
  BZIP2_PAGE_BITS = 4,
  BZIP2_PAGE = 1 << BZIP2_PAGE_BITS,
};

/* Where each two bytes of a text lead. */
struct bzip2_pairs {
  uint8_t links[BZIP2_MAX_TEXT * BZIP2_LINK_BYTES + 1]; /* one more, so that a link can be read as a word */
  uint16_t pages[BZIP2_MAX_TEXT / BZIP2_PAGE + 1];
  uint16_t values[1 << 16];
};

/* What texts are made in. */
struct bzip2_room {
  uint32_t links[BZIP2_MAX_TEXT];
  struct bzip2_pairs pairs[BZIP2_BESIDE];
};

struct bzip2_block {
  uint8_t *text; /* first the column, then the text, before runs are expanded */
  uint32_t length, origin, checksum;
  bool isRandomised;
  /* Of the expansion. */
  uint32_t position, plainEnd, repeats, computed;
  uint8_t repeated;
  bool hasRun;
};

/* Reads what lies between the bit of a block's mark and that of the next; `text` has room for `most` bytes. */
bool bzip2_read_block(struct bzip2_block *block, const uint8_t *bytes, int64_t from, int64_t to, uint32_t most);

/* Turns columns into texts. */
void bzip2_invert_blocks(struct bzip2_block *const *blocks, size_t count, struct bzip2_room *room);

/* The next bytes, as many as there is room for; fewer only at the end, where the text is at its length. */
size_t bzip2_expand(struct bzip2_block *block, uint8_t *out, size_t room);

/* Goes on with the checksum of what came before. */
uint32_t bzip2_checksum(uint32_t before, const uint8_t *bytes, size_t length);

/* Whether an expanded block was a whole one, with the bytes that it was made of. */
bool bzip2_is_sound(const struct bzip2_block *block);
#endif
