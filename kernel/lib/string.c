#include <lib/string.h>

#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    void *out = to;
    size_t words = size / 8, bytes = size % 8;

    __asm__ volatile("rep movsq" : "+D"(out), "+S"(from), "+c"(words) : : "memory");
    __asm__ volatile("rep movsb" : "+D"(out), "+S"(from), "+c"(bytes) : : "memory");
    return to;
}

void *memmove(void *to, const void *from, size_t size)
{
    if ((uintptr_t)to - (uintptr_t)from >= size)
        return memcpy(to, from, size);

    uint8_t *last_out = (uint8_t *)to + size - 1;
    const uint8_t *last_in = (const uint8_t *)from + size - 1;
    if (size)
        __asm__ volatile("std; rep movsb; cld" : "+D"(last_out), "+S"(last_in), "+c"(size) : : "memory");
    return to;
}

void *memset(void *to, int byte, size_t size)
{
    void *out = to;
    uint64_t pattern = (uint8_t)byte * 0x0101010101010101u;
    size_t words = size / 8, bytes = size % 8;

    __asm__ volatile("rep stosq" : "+D"(out), "+c"(words) : "a"(pattern) : "memory");
    __asm__ volatile("rep stosb" : "+D"(out), "+c"(bytes) : "a"(pattern) : "memory");
    return to;
}

int memcmp(const void *a, const void *b, size_t size)
{
    const uint8_t *x = a, *y = b;

    for (size_t i = 0; i < size; i++)
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    return 0;
}
