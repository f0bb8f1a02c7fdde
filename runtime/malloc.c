/* malloc and its family over the process's own heap, in place of all of musl's. */
#include "runtime/heap.h"
#include "runtime/runtime.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* malloc has no argument to carry it. */
static struct heap process_heap;

void heap_use(void *region, size_t bytes)
{
    heap_init(&process_heap, region, bytes);
}

size_t heap_bytes_left(void)
{
    return process_heap.free_bytes;
}

static void *or_errno(void *memory)
{
    if (!memory)
        errno = ENOMEM;
    return memory;
}

void *malloc(size_t bytes)
{
    return or_errno(heap_allocate(&process_heap, bytes, HEAP_ALIGNMENT));
}

void free(void *memory)
{
    if (memory && !heap_release(&process_heap, memory))
        panic("free(%p): not a block of the heap, or freed before, or overwritten", memory);
}

void *calloc(size_t count, size_t bytes)
{
    size_t total;

    if (__builtin_mul_overflow(count, bytes, &total))
        return or_errno(NULL);
    void *memory = malloc(total);
    if (memory)
        memset(memory, 0, total);
    return memory;
}

void *realloc(void *memory, size_t bytes)
{
    if (!memory)
        return malloc(bytes);
    return or_errno(heap_resize(&process_heap, memory, bytes));
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    if (alignment == 0 || (alignment & (alignment - 1))) {
        errno = EINVAL;
        return NULL;
    }
    return or_errno(heap_allocate(&process_heap, bytes, alignment));
}

void *memalign(size_t alignment, size_t bytes)
{
    return aligned_alloc(alignment, bytes);
}

int posix_memalign(void **memory, size_t alignment, size_t bytes)
{
    if (alignment < sizeof(void *) || (alignment & (alignment - 1)))
        return EINVAL;
    void *block = heap_allocate(&process_heap, bytes, alignment);
    if (!block)
        return ENOMEM;
    *memory = block;
    return 0;
}

size_t malloc_usable_size(void *memory)
{
    return memory ? heap_usable(memory) : 0;
}
