/* A service's ELF file, looked at before anything of it is loaded. Pure: whatever the file holds, no access leaves it.
 * ELF-64 Object File Format, version 1.5. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_SEGMENTS_MAX 8u

struct elf_segment {
    uint64_t address, memory_bytes;
    uint64_t offset, file_bytes; /* in the file; the rest of memory is zero */
    bool writable;
};

struct elf_image {
    uint64_t entry;
    unsigned count;
    struct elf_segment segment[ELF_SEGMENTS_MAX];
};

/* Fills IMAGE with the segments to load. No two of them share a page of memory, and all lie from LOWEST up to, not
 * including, HIGHEST, which are multiples of the page size. NULL, or what is wrong with the file. */
const char *elf_read(struct elf_image *image, const void *file, size_t length, uint64_t lowest, uint64_t highest);
