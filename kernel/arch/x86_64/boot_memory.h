/* Who owns which physical memory while the system boots. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <arch/x86_64/regions.h>

struct boot_memory {
    struct regions ram;     /* all RAM that the kernel's window covers */
    struct regions free;    /* what of it nobody has taken */
    struct regions devices; /* what the kernel keeps outside of RAM: its interrupt controllers' pages */
};

/* SIZE bytes (whole pages) of zeroed memory at a multiple of ALIGNMENT, from the top; 0 where there is none. */
uint64_t boot_memory_take(struct boot_memory *memory, uint64_t size, uint64_t alignment);
