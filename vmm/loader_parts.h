/* What the parts of the loader share; nothing else includes it.
 *
 * Guest physical memory after loading (the boot information is done with once the kernel has read it):
 *
 *   0x00001000  GDT                      LINUX64
 *   0x00002000  boot parameters, or PVH start info with memory map and module list
 *   0x00003000  command line
 *   0x00004000  left zero: Nanos builds its memory map at 0x7daa, downwards, and takes what it finds there for a part
 *   0x00009000  page tables              LINUX64
 *   0x0009f000  end of usable low memory, and of a stack                    LINUX64
 *   0x000e0000  ACPI tables (acpi_tables.h)
 *   0x00100000  kernel, where its image wants it
 *   ...         initrd, as high as it may be
 */
#pragma once

#include "vmm/loader.h"

#include <asm/bootparam.h>

#define LOADER_GDT         0x1000u
#define LOADER_INFORMATION 0x2000u
#define LOADER_CMDLINE     0x3000u
#define LOADER_PAGE_TABLES 0x9000u

#define LOW_MEMORY_END  0x9f000u
#define LOADER_STACK    LOW_MEMORY_END
#define HIGH_MEMORY     UINT64_C(0x100000) /* where kernels and initrds may lie */
#define FOUR_GIB        UINT64_C(0x100000000)
#define CMDLINE_MAX     2047u /* bytes, without the terminating NUL; what ipc/vm_config.h and Linux can hold */

#define LOADER_MESSAGE_BYTES 160u

/* The kernel as it lies in guest memory. */
struct loaded_kernel {
    uint64_t start, end; /* what it occupies, and what it needs beyond its image while it starts */
    uint64_t entry;      /* LINUX64 */
    uint64_t pvh_entry;  /* 0: has none */
    uint64_t initrd_end; /* the initrd has to end at or below */
    bool initrd_above_4g; /* or may lie above 4 GiB */
    uint32_t cmdline_max;
    const uint8_t *setup_header; /* bzImage: what goes to boot_params.hdr */
    uint32_t setup_header_bytes;
};

struct loading {
    const struct guest_memory *memory;
    const struct boot_request *request;
    struct loaded_kernel kernel;
    uint64_t initrd; /* where it lies; 0: there is none */
    char *message;   /* LOADER_MESSAGE_BYTES */
};

/* Writes the message and returns it. */
__attribute__((format(printf, 2, 3))) const char *loader_refuse(struct loading *loading, const char *format, ...);

/* Sizes for messages: what is needed is rounded up, what is there down. */
uint64_t mib_needed(uint64_t bytes);
uint64_t mib_there(uint64_t bytes);

/* NULL where [START, END) is RAM at or above HIGH_MEMORY in one region; otherwise why not. */
const char *loader_check_range(struct loading *loading, uint64_t start, uint64_t end);

/* Each looks at the image, refuses it or puts it into memory, and fills loading->kernel. */
bool loader_is_bzimage(const uint8_t *image, uint64_t bytes);
bool loader_is_elf(const uint8_t *image, uint64_t bytes);
const char *loader_load_bzimage(struct loading *loading);
const char *loader_load_elf(struct loading *loading);

/* The memory map that both boot protocols pass on, which use the same numbers. */
enum memory_type { MEMORY_RAM = 1, MEMORY_RESERVED = 2 };
struct memory_range {
    uint64_t start, length;
    enum memory_type type;
};
#define MEMORY_RANGES_MAX (GUEST_MEMORY_REGIONS + 2u)
unsigned loader_memory_map(const struct guest_memory *memory, struct memory_range range[MEMORY_RANGES_MAX]);

/* Each writes the boot information and fills the state. */
const char *loader_prepare_pvh(struct loading *loading, struct boot_state *state);
const char *loader_prepare_linux64(struct loading *loading, struct boot_state *state);
