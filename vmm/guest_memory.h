/* Guest physical memory as the monitor reaches it. This is where guest addresses are checked; behind it code holds
 * plain pointers. The bytes may change at any moment (the guest, later other virtual CPUs): read what matters once. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUEST_MEMORY_REGIONS 2u
#define GUEST_MEMORY_HOLES   64u
#define GUEST_PAGE_BYTES     (UINT64_C(2) << 20)

struct guest_region {
    uint64_t start, length; /* guest physical, bytes */
    uint8_t *host;
};

struct guest_memory {
    unsigned count;
    struct guest_region region[GUEST_MEMORY_REGIONS];
    unsigned hole_count;
    uint64_t hole[GUEST_MEMORY_HOLES]; /* pages of GUEST_PAGE_BYTES that the guest has given back */
    /* NULL, or hears of what guest_memory_write has written: whoever keeps what has been derived from guest memory. */
    void (*written)(void *context, uint64_t address, uint64_t length);
    void *context;
};

/* Where LENGTH bytes at guest physical ADDRESS lie, or NULL where not all of them are RAM in one region. */
void *guest_memory_at(const struct guest_memory *memory, uint64_t address, uint64_t length);

/* Copies; false, having copied nothing, where not all of it is RAM. The range may span regions that touch. */
bool guest_memory_read(const struct guest_memory *memory, uint64_t address, void *bytes, size_t length);
bool guest_memory_write(const struct guest_memory *memory, uint64_t address, const void *bytes, size_t length);

/* Bytes of RAM in all regions. */
uint64_t guest_memory_bytes(const struct guest_memory *memory);
