/* What compilers and kernels ask of a C library. */
#include "guests/base/kernel.h"

void *memcpy(void *to, const void *from, size_t bytes)
{
    void *start = to;

    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
    return start;
}

void *memset(void *to, int value, size_t bytes)
{
    void *start = to;

    __asm__ volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
    return start;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
    const uint8_t *left = a, *right = b;

    for (; bytes > 0; bytes--, left++, right++)
        if (*left != *right)
            return *left - *right;
    return 0;
}

size_t strlen(const char *text)
{
    size_t length = 0;

    while (text[length])
        length++;
    return length;
}

bool same_text(const char *a, const char *b)
{
    for (; *a && *a == *b; a++, b++)
        ;
    return *a == *b;
}

bool starts_with(const char *text, const char *start)
{
    for (; *start; text++, start++)
        if (*text != *start)
            return false;
    return true;
}
