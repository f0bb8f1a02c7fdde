#include "runtime/tls.h"

#include <sel4/syscalls.h>
#include <string.h>

__thread seL4_IPCBuffer *__sel4_ipc_buffer;

/* The linker script's: initial values of the variables, their size, and the size with the zeroed ones, rounded up to
 * the alignment of all: that far below the thread pointer the variables begin. */
extern const uint8_t __tls_start[];
extern const char __tls_data_bytes[], __tls_bytes[];

/* musl 1.2's struct pthread is some 200 bytes; its head is the pointer to itself. */
#define THREAD_RECORD_BYTES 512u
#define TLS_ALIGNMENT       64u

static size_t round_up(size_t bytes)
{
    return (bytes + TLS_ALIGNMENT - 1) & ~(size_t)(TLS_ALIGNMENT - 1);
}

size_t tls_bytes(void)
{
    return TLS_ALIGNMENT + round_up((size_t)__tls_bytes) + THREAD_RECORD_BYTES;
}

uintptr_t tls_prepare(void *memory)
{
    uintptr_t start = round_up((uintptr_t)memory);
    uintptr_t pointer = start + round_up((size_t)__tls_bytes);
    size_t size = (size_t)__tls_bytes;

    memcpy((void *)(pointer - size), __tls_start, (size_t)__tls_data_bytes);
    *(uintptr_t *)pointer = pointer;
    return pointer;
}

void tls_use(uintptr_t pointer)
{
    __asm__ volatile("wrfsbase %0" : : "r"(pointer) : "memory");
}
