/*
 * One block of bzip2 in three stages: its symbols are read to the last column of the sorted rotations, the columns of
 * several blocks are turned into their texts side by side, and a text is expanded piece by piece. Knows nothing of Node;
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
  BZIP2_BESIDE = 4, /* blocks whose texts are made side by side */
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

/* Turns columns into texts; for every block there are BZIP2_MAX_TEXT links. */
void bzip2_invert_blocks(struct bzip2_block *const *blocks, size_t count, uint32_t *const *links);

/* The next bytes, as many as there is room for; fewer only at the end, where the text is at its length. */
size_t bzip2_expand(struct bzip2_block *block, uint8_t *out, size_t room);

/* Goes on with the checksum of what came before. */
uint32_t bzip2_checksum(uint32_t before, const uint8_t *bytes, size_t length);

/* Whether an expanded block was a whole one, with the bytes that it was made of. */
bool bzip2_is_sound(const struct bzip2_block *block);
#endif
