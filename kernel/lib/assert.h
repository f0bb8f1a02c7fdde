/* Assertions of the kernel about itself: nothing that a user does can make one fail. */
#pragma once

#include <arch/x86_64/console.h>

#define static_assert _Static_assert
#ifdef BEAML4_RELEASE
#define assert(condition) ((void)(0 && (condition)))
#else
#define assert(condition) ((condition) ? (void)0 : kernel_panic("assertion failed: %s", #condition))
#endif
