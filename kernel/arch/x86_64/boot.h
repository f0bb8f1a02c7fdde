/* What the stages of the boot tell each other. */
#pragma once

#include <stdint.h>
#include <arch/x86_64/acpi.h>
#include <arch/x86_64/boot_memory.h>
#include <arch/x86_64/clock.h>
#include <arch/x86_64/loader_info.h>
#include <arch/x86_64/root_image.h>

/* How many of the machine's processors run. */
#define CPUS_STARTED 1u

struct boot {
    struct loader_info loader;
    struct acpi_info acpi;
    struct boot_memory memory;
    struct root_image image;
    uint64_t image_address; /* physical address of image.start */
    struct clock_rates clock;
};

/* Called by the entry code with what the boot loader left in eax and ebx. */
_Noreturn void kernel_boot(uint32_t magic, uint32_t information);

/* The second half: processor, interrupt controllers, root task. */
_Noreturn void boot_cpu_and_root_task(struct boot *state);
