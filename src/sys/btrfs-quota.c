/*
 * What a btrfs file system counts of a subvolume where its quota is on. Contract as in native.c; ENOENT where nothing
 * is counted, and EPERM without CAP_SYS_ADMIN, which searching the trees takes.
 */
#define NAPI_VERSION 9
#include <errno.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>

/* As the caller reads it: four numbers of 64 bits in the order of this machine, a limit of all ones being none. */
struct quota {
  uint64_t referenced, exclusive, limit, exclusive_limit;
};

static uint64_t little(__le64 value) {
  const unsigned char *bytes = (const unsigned char *)&value;
  uint64_t result = 0;
  for (int index = 7; index >= 0; index--) result = result << 8 | bytes[index];
  return result;
}

static void take_info(struct quota *quota, const void *start) {
  struct btrfs_qgroup_info_item item;
  memcpy(&item, start, sizeof item);
  quota->referenced = little(item.rfer);
  quota->exclusive = little(item.excl);
}

static void take_limit(struct quota *quota, const void *start) {
  struct btrfs_qgroup_limit_item item;
  memcpy(&item, start, sizeof item);
  if (little(item.flags) & BTRFS_QGROUP_LIMIT_MAX_RFER) quota->limit = little(item.max_rfer);
  if (little(item.flags) & BTRFS_QGROUP_LIMIT_MAX_EXCL) quota->exclusive_limit = little(item.max_excl);
}

/* The items of the subvolume's own group, among those that the search answers with. */
static bool read_items(const struct btrfs_ioctl_search_args *search, uint64_t group, struct quota *quota) {
  bool found = false;
  size_t position = 0;
  for (uint32_t count = 0; count < search->key.nr_items; count++) {
    struct btrfs_ioctl_search_header header;
    if (position + sizeof header > sizeof search->buf) break;
    memcpy(&header, search->buf + position, sizeof header);
    position += sizeof header;
    if (header.len > sizeof search->buf - position) break;
    const void *item = search->buf + position;
    position += header.len;
    if (header.objectid != 0 || header.offset != group) continue;
    if (header.type == BTRFS_QGROUP_INFO_KEY && header.len >= sizeof(struct btrfs_qgroup_info_item)) {
      take_info(quota, item);
      found = true;
    } else if (header.type == BTRFS_QGROUP_LIMIT_KEY && header.len >= sizeof(struct btrfs_qgroup_limit_item))
      take_limit(quota, item);
  }
  return found;
}

/* One item of one type at a time, so that other groups cannot fill the answer. */
static int search_one(int fd, uint64_t group, uint32_t type, struct quota *quota) {
  struct btrfs_ioctl_search_args search = {0};
  search.key.tree_id = BTRFS_QUOTA_TREE_OBJECTID;
  search.key.min_type = search.key.max_type = type;
  search.key.min_offset = search.key.max_offset = group;
  search.key.max_transid = UINT64_MAX;
  search.key.nr_items = 1;
  if (ioctl(fd, BTRFS_IOC_TREE_SEARCH, &search) < 0) return -errno;
  return read_items(&search, group, quota) ? 1 : 0;
}

static int read_quota(int fd, struct quota *quota) {
  struct btrfs_ioctl_ino_lookup_args lookup = {.objectid = BTRFS_FIRST_FREE_OBJECTID};
  if (ioctl(fd, BTRFS_IOC_INO_LOOKUP, &lookup) < 0) return -errno;
  int found = search_one(fd, lookup.treeid, BTRFS_QGROUP_INFO_KEY, quota);
  if (found <= 0) return found < 0 ? found : -ENOENT;
  int limited = search_one(fd, lookup.treeid, BTRFS_QGROUP_LIMIT_KEY, quota);
  return limited < 0 ? limited : 0;
}

static napi_value subvolume_quota(napi_env env, napi_callback_info info) {
  napi_value argument = NULL, result = NULL;
  size_t count = 1;
  int32_t fd = -1;
  struct quota quota = {.limit = UINT64_MAX, .exclusive_limit = UINT64_MAX};
  int error = -EINVAL;
  if (napi_get_cb_info(env, info, &count, &argument, NULL, NULL) == napi_ok &&
      napi_get_value_int32(env, argument, &fd) == napi_ok)
    error = read_quota(fd, &quota);
  if (error < 0) napi_create_int64(env, error, &result);
  else napi_create_buffer_copy(env, sizeof quota, &quota, NULL, &result);
  return result;
}

void register_quota_calls(napi_env env, napi_value exports) {
  napi_value function = NULL;
  napi_create_function(env, "subvolumeQuota", NAPI_AUTO_LENGTH, subvolume_quota, NULL, &function);
  napi_set_named_property(env, exports, "subvolumeQuota", function);
}
