/*
 * Unix sockets that carry descriptors, and a watch that tells when a socket is ready; for src/sys/native.ts only.
 *
 * The contract of native.c holds here too, with one exception: no call blocks. A watch is a thread that sleeps in
 * poll(2); each event it reports is one that was asked for with watchArm, once. It is started by watchOpen and
 * ends by watchClose, which must come before the socket is closed. Every received descriptor is close-on-exec.
 */
#define _GNU_SOURCE
#define NAPI_VERSION 9
#include <errno.h>
#include <node_api.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_DESCRIPTORS 253 /* SCM_MAX_FD of the kernel */
#define CONNECT_SECONDS 10  /* a listener whose queue is full */

void register_socket_calls(napi_env env, napi_value exports);

static napi_value number(napi_env env, int64_t value) {
  napi_value result = NULL;
  napi_create_int64(env, value, &result);
  return result;
}

static bool arguments(napi_env env, napi_callback_info info, size_t expected, napi_value *values) {
  size_t count = expected;
  return napi_get_cb_info(env, info, &count, values, NULL, NULL) == napi_ok && count == expected;
}

/* connect(2) to an address given as bytes: a path, or a NUL and an abstract name. */
static napi_value sys_connect_unix(napi_env env, napi_callback_info info) {
  napi_value values[1];
  void *name = NULL;
  size_t length = 0;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (!arguments(env, info, 1, values) || napi_get_buffer_info(env, values[0], &name, &length) != napi_ok || !length)
    return number(env, -EINVAL);
  if (length >= sizeof address.sun_path) return number(env, -ENAMETOOLONG);
  memcpy(address.sun_path, name, length);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return number(env, -errno);
  struct timeval limit = {.tv_sec = CONNECT_SECONDS};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (connect(fd, (struct sockaddr *)&address, offsetof(struct sockaddr_un, sun_path) + length) == 0)
    return number(env, fd);
  int error = errno;
  close(fd);
  return number(env, -error);
}

/* One datagram to an address given as bytes; sent whole or not at all. */
static napi_value sys_send_datagram(napi_env env, napi_callback_info info) {
  napi_value values[2];
  void *name = NULL, *bytes = NULL;
  size_t length = 0, size = 0;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (!arguments(env, info, 2, values) || napi_get_buffer_info(env, values[0], &name, &length) != napi_ok || !length ||
      napi_get_buffer_info(env, values[1], &bytes, &size) != napi_ok || !size)
    return number(env, -EINVAL);
  if (length >= sizeof address.sun_path) return number(env, -ENAMETOOLONG);
  memcpy(address.sun_path, name, length);
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return number(env, -errno);
  ssize_t sent = sendto(fd, bytes, size, MSG_NOSIGNAL, (struct sockaddr *)&address,
                        offsetof(struct sockaddr_un, sun_path) + length);
  int error = errno;
  close(fd);
  return number(env, sent < 0 ? -error : sent);
}

/* Bytes sent; the descriptors go with the first of them. */
static napi_value sys_send_message(napi_env env, napi_callback_info info) {
  napi_value values[3];
  void *bytes = NULL;
  size_t length = 0;
  uint32_t count = 0;
  int32_t fd = -1;
  int fds[MAX_DESCRIPTORS];
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof fds)];
  } control;
  if (!arguments(env, info, 3, values) || napi_get_value_int32(env, values[0], &fd) != napi_ok ||
      napi_get_buffer_info(env, values[1], &bytes, &length) != napi_ok || !length ||
      napi_get_array_length(env, values[2], &count) != napi_ok || count > MAX_DESCRIPTORS)
    return number(env, -EINVAL);
  for (uint32_t index = 0; index < count; index++) {
    napi_value element;
    if (napi_get_element(env, values[2], index, &element) != napi_ok ||
        napi_get_value_int32(env, element, &fds[index]) != napi_ok)
      return number(env, -EINVAL);
  }
  struct iovec part = {.iov_base = bytes, .iov_len = length};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (count > 0) {
    memset(&control, 0, sizeof control);
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(header), fds, count * sizeof(int));
  }
  ssize_t sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  return number(env, sent < 0 ? -errno : sent);
}

/* Adds the descriptors of a message to an array; without the array, or its room, none stays open. */
static void collect(napi_env env, struct msghdr *message, napi_value into) {
  for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t index = 0; index < count; index++) {
      int fd;
      uint32_t at = 0;
      memcpy(&fd, CMSG_DATA(header) + index * sizeof fd, sizeof fd);
      if (napi_get_array_length(env, into, &at) != napi_ok ||
          napi_set_element(env, into, at, number(env, fd)) != napi_ok)
        close(fd);
    }
  }
}

/* Fills a buffer and appends to an array of descriptors; 0 at the end, -EMSGSIZE if descriptors were lost. */
static napi_value sys_receive_message(napi_env env, napi_callback_info info) {
  napi_value values[3];
  void *bytes = NULL;
  size_t length = 0;
  int32_t fd = -1;
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(MAX_DESCRIPTORS * sizeof(int))];
  } control;
  bool is_array = false;
  if (!arguments(env, info, 3, values) || napi_get_value_int32(env, values[0], &fd) != napi_ok ||
      napi_get_buffer_info(env, values[1], &bytes, &length) != napi_ok || !length ||
      napi_is_array(env, values[2], &is_array) != napi_ok || !is_array)
    return number(env, -EINVAL);
  struct iovec part = {.iov_base = bytes, .iov_len = length};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  ssize_t got = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (got < 0) return number(env, -errno);
  collect(env, &message, values[2]);
  return number(env, message.msg_flags & MSG_CTRUNC ? -EMSGSIZE : got);
}

/* The watch */

struct watch {
  int fd;
  int wake; /* eventfd */
  atomic_int wanted;
  atomic_bool stop;
  pthread_t thread;
  napi_threadsafe_function report;
};

static void *watch_thread(void *context) {
  struct watch *watch = context;
  while (!atomic_load(&watch->stop)) {
    int wanted = atomic_load(&watch->wanted);
    struct pollfd files[] = {{.fd = watch->wake, .events = POLLIN},
                             {.fd = wanted ? watch->fd : -1, .events = (short)wanted}};
    if (poll(files, 2, -1) < 0) continue; /* EINTR */
    if (files[0].revents) {
      uint64_t count;
      if (read(watch->wake, &count, sizeof count) < 0) continue;
    }
    if (!files[1].revents || atomic_load(&watch->stop)) continue;
    /* An error or hang-up is an event for whatever is wanted; the system call then tells which. */
    int events = files[1].revents & (POLLERR | POLLHUP | POLLNVAL) ? wanted : files[1].revents & wanted;
    atomic_fetch_and(&watch->wanted, ~events);
    napi_call_threadsafe_function(watch->report, (void *)(intptr_t)events, napi_tsfn_blocking);
  }
  napi_release_threadsafe_function(watch->report, napi_tsfn_release);
  return NULL;
}

static void wake(struct watch *watch) {
  uint64_t one = 1;
  ssize_t written = write(watch->wake, &one, sizeof one);
  (void)written; /* It fails only when it is awake already. */
}

static void call_listener(napi_env env, napi_value listener, void *context, void *events) {
  (void)context;
  if (!env || !listener) return;
  napi_value undefined, argument = number(env, (intptr_t)events);
  napi_get_undefined(env, &undefined);
  if (napi_call_function(env, undefined, listener, 1, &argument, NULL) != napi_pending_exception) return;
  napi_value error;
  if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
}

static void stop_watch(struct watch *watch) {
  if (atomic_exchange(&watch->stop, true)) return;
  wake(watch);
  pthread_join(watch->thread, NULL);
  close(watch->wake);
}

static void free_watch(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  stop_watch(data);
  free(data);
}

static int open_watch(napi_env env, int fd, napi_value listener, struct watch **opened) {
  napi_value name;
  struct watch *watch = calloc(1, sizeof *watch);
  if (!watch) return ENOMEM;
  watch->fd = fd;
  watch->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (watch->wake < 0) goto no_wake;
  napi_create_string_utf8(env, "imgctl-socket", NAPI_AUTO_LENGTH, &name);
  if (napi_create_threadsafe_function(env, listener, NULL, name, 0, 1, NULL, NULL, NULL, call_listener,
                                      &watch->report) != napi_ok)
    goto no_report;
  if (pthread_create(&watch->thread, NULL, watch_thread, watch) == 0) {
    *opened = watch;
    return 0;
  }
  napi_release_threadsafe_function(watch->report, napi_tsfn_abort);
no_report:
  close(watch->wake);
no_wake:
  free(watch);
  return EAGAIN;
}

/* Gives a handle; nothing is reported until watchArm. The listener is called with the events (POLLIN, POLLOUT). */
static napi_value sys_watch_open(napi_env env, napi_callback_info info) {
  napi_value values[2], handle;
  int32_t fd = -1;
  struct watch *watch = NULL;
  if (!arguments(env, info, 2, values) || napi_get_value_int32(env, values[0], &fd) != napi_ok)
    return number(env, -EINVAL);
  int error = open_watch(env, fd, values[1], &watch);
  if (error) return number(env, -error);
  if (napi_create_external(env, watch, free_watch, NULL, &handle) == napi_ok) return handle;
  free_watch(env, watch, NULL);
  return number(env, -ENOMEM);
}

/* Asks for events to be reported once each, besides those already asked for. */
static napi_value sys_watch_arm(napi_env env, napi_callback_info info) {
  napi_value values[2];
  struct watch *watch = NULL;
  int32_t events = 0;
  if (!arguments(env, info, 2, values) || napi_get_value_external(env, values[0], (void **)&watch) != napi_ok ||
      napi_get_value_int32(env, values[1], &events) != napi_ok)
    return number(env, -EINVAL);
  if (atomic_load(&watch->stop)) return number(env, -EBADF);
  if ((atomic_fetch_or(&watch->wanted, events & (POLLIN | POLLOUT)) & events) != events) wake(watch);
  return number(env, 0);
}

static napi_value sys_watch_close(napi_env env, napi_callback_info info) {
  napi_value values[1];
  struct watch *watch = NULL;
  if (!arguments(env, info, 1, values) || napi_get_value_external(env, values[0], (void **)&watch) != napi_ok)
    return number(env, -EINVAL);
  stop_watch(watch);
  return number(env, 0);
}

static const struct {
  const char *name;
  napi_callback call;
} exported[] = {
    {"sendDatagram", sys_send_datagram},
    {"connectUnix", sys_connect_unix}, {"sendMessage", sys_send_message}, {"receiveMessage", sys_receive_message},
    {"watchOpen", sys_watch_open},     {"watchArm", sys_watch_arm},       {"watchClose", sys_watch_close},
};

void register_socket_calls(napi_env env, napi_value exports) {
  for (size_t index = 0; index < sizeof exported / sizeof *exported; index++) {
    napi_value function = NULL;
    napi_create_function(env, exported[index].name, NAPI_AUTO_LENGTH, exported[index].call, NULL, &function);
    napi_set_named_property(env, exports, exported[index].name, function);
  }
}
