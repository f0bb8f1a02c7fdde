/* Reads physical memory that is not RAM for programs, where the firmware has left its tables: a window on a few pages
 * at a time. */
#pragma once

#include "beaml4-init/resources.h"

#define ACPI_PAGES_MAX 17u /* 64 KiB that need not begin at a page boundary */

struct acpi_pages {
    struct resources *resources;
    char *window;
    unsigned count; /* pages mapped now */
    struct {
        struct untyped *untyped;
        seL4_CPtr frame;
    } page[ACPI_PAGES_MAX];
};

/* An acpi_reader (acpi.h); CONTEXT is a struct acpi_pages with RESOURCES set and everything else zero. */
const void *acpi_pages_read(void *context, uint64_t paddr, size_t bytes);

/* Unmaps what the last read has mapped and gives it back. */
void acpi_pages_close(struct acpi_pages *pages);
