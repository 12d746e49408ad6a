/* zlib as it is found when first asked for: the one inside Node where Node shows it, which is faster, else the system's. */
#define _GNU_SOURCE
#include "zlib-library.h"

#include <dlfcn.h>

struct zlib_calls zlib;

static bool find_calls(void *library) {
  *(void **)&zlib.init = dlsym(library, "inflateInit2_");
  *(void **)&zlib.reset = dlsym(library, "inflateReset");
  *(void **)&zlib.inflate = dlsym(library, "inflate");
  *(void **)&zlib.end = dlsym(library, "inflateEnd");
  return zlib.init && zlib.reset && zlib.inflate && zlib.end;
}

bool open_zlib(void) {
  static bool isOpen;
  if (isOpen || find_calls(RTLD_DEFAULT)) return isOpen = true;
  void *library = dlopen("libz.so.1", RTLD_NOW | RTLD_LOCAL);
  return isOpen = library && find_calls(library);
}

bool begin_inflate(struct zlib_stream *stream, int window_bits) {
  return zlib.init(stream, window_bits, "1.2.11", sizeof *stream) == Z_OK;
}
