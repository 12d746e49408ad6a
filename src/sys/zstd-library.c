/*
 * libzstd as it is found when first asked for: the one inside Node where Node shows it, whose version is known and
 * newer than that of many systems; else that of the system. Neither building nor running needs it to be installed.
 */
#define _GNU_SOURCE
#include "zstd-library.h"

#include <dlfcn.h>

struct zstd_calls zstd;

static bool find_calls(void *library) {
  const struct {
    void *call;
    const char *name;
  } wanted[] = {{&zstd.is_error, "ZSTD_isError"},
                {&zstd.create_decoder, "ZSTD_createDCtx"},
                {&zstd.free_decoder, "ZSTD_freeDCtx"},
                {&zstd.set_decoder, "ZSTD_DCtx_setParameter"},
                {&zstd.decode, "ZSTD_decompressStream"},
                {&zstd.begin, "ZSTD_decompressBegin"},
                {&zstd.next, "ZSTD_nextSrcSizeToDecompress"},
                {&zstd.proceed, "ZSTD_decompressContinue"},
                {&zstd.create_encoder, "ZSTD_createCCtx"},
                {&zstd.free_encoder, "ZSTD_freeCCtx"},
                {&zstd.set_encoder, "ZSTD_CCtx_setParameter"},
                {&zstd.encode, "ZSTD_compress2"}};
  for (size_t index = 0; index < sizeof wanted / sizeof *wanted; index++) {
    void *address = dlsym(library, wanted[index].name);
    if (!address) return false;
    *(void **)wanted[index].call = address;
  }
  *(void **)&zstd.create_encoder_in = dlsym(library, "ZSTD_createCCtx_advanced");
  return true;
}

bool open_zstd(void) {
  static bool isOpen;
  if (isOpen || find_calls(RTLD_DEFAULT)) return isOpen = true;
  void *library = dlopen("libzstd.so.1", RTLD_NOW | RTLD_LOCAL);
  return isOpen = library && find_calls(library);
}
