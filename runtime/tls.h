/* Thread-local storage as the x86-64 ABI and musl want it: variables below the thread pointer, and behind it the
 * thread's own record, of which musl keeps errno and the stack canary.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Bytes of memory that tls_prepare needs for one thread; it may start anywhere. */
size_t tls_bytes(void);

/* Fills MEMORY (tls_bytes() bytes, zeroed) with a thread's initial variables; returns the thread pointer, which is
 * what the FS base of that thread must be. */
uintptr_t tls_prepare(void *memory);

/* Makes POINTER the calling thread's own (FSGSBASE is part of the kernel's contract). */
void tls_use(uintptr_t pointer);
