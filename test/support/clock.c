/* Preloaded: the time of day is CLOCK_SHIFT seconds another one; intervals are as ever. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long long shift(void) { const char *t = getenv("CLOCK_SHIFT"); return t ? atoll(t) : 0; }
int clock_gettime(clockid_t id, struct timespec *now) {
	int result = ((int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime"))(id, now);
	if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) now->tv_sec += shift();
	return result;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
	int result = ((int (*)(struct timeval *, void *))dlsym(RTLD_NEXT, "gettimeofday"))(now, zone);
	if (result == 0) now->tv_sec += shift();
	return result;
}
