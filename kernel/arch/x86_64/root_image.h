/* The root task's ELF file: checked, measured, loaded. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct root_image {
    uint64_t start, end; /* virtual addresses, whole pages: from the lowest to the highest segment */
    uint64_t entry;
};

/* Checks the FILE of SIZE bytes and measures it. Answers false, having said why, where it cannot be a root task. */
bool root_image_check(const void *file, uint64_t size, struct root_image *image);

/* Puts the segments of a checked file at DESTINATION, which stands for image->start and has image->end - image->start
 * bytes; what no segment fills becomes zero. */
void root_image_load(const void *file, const struct root_image *image, void *destination);
