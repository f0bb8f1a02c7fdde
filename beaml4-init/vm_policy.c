#include "beaml4-init/vm_policy.h"

#define KIB UINT64_C(1024)
#define MIB (KIB * KIB)
#define GIB (KIB * MIB)

/* The virtual CPU, its bitmaps, the upper paging structures, a page table for its window. */
#define OBJECTS_BASE_BYTES (192 * KIB)
#define HEAP_BASE_BYTES    (512 * KIB)

/* Every frame is mapped twice, in the guest and in the monitor, and needs a slot of 32 bytes for each; every table of
 * 512 entries exists twice as well. */
#define SLOTS_BYTES(frames) ((frames) * 2 * 32)
#define TABLES_BYTES(count) ((count) * 2 * 4 * KIB)

/* What the manager of paging structures keeps of a table (algorithms/pagetable), twice. */
#define BOOKKEEPING_BYTES(tables) ((tables) * 2 * 5 * KIB)

/* PV mode: the slots for shadow pages and paging structures, which are many whatever the guest is (vmm/pv/mapping.h), the
 * address spaces, and for page tables in use at the same time at least so much and at most so much. What the guest needs
 * beyond that is made anew each time. */
#define PV_SLOTS_BYTES      ((16384 + 4096) * 32 + 65 * 4 * KIB)
#define PV_TABLES_MIN_BYTES (2 * MIB)
#define PV_TABLES_MAX_BYTES (12 * MIB)

/* PV mode: bookkeeping of the shadow page tables (vmm/pv/shadow.h), and of the frames. */
#define PV_HEAP_BYTES        (4 * MIB + 512 * KIB)
#define PV_HEAP_BYTES_A_PAGE 6

static uint64_t round_up(uint64_t bytes, uint64_t step)
{
    return (bytes + step - 1) / step * step;
}

static uint64_t pv_tables_bytes(const struct vm_config *config)
{
    uint64_t bytes = config->memory_bytes / 16;

    return bytes < PV_TABLES_MIN_BYTES ? PV_TABLES_MIN_BYTES : bytes > PV_TABLES_MAX_BYTES ? PV_TABLES_MAX_BYTES : bytes;
}

uint64_t vm_objects_bytes(const struct vm_config *config, enum vm_mode mode)
{
    uint64_t directories = config->memory_bytes / GIB + 2; /* the low and the high region each begin one */
    uint64_t large_pages = config->memory_bytes / (2 * MIB);
    uint64_t bytes = OBJECTS_BASE_BYTES + TABLES_BYTES(directories);

    if (mode == VM_MODE_PV)
        bytes += PV_SLOTS_BYTES + pv_tables_bytes(config) + SLOTS_BYTES(large_pages);
    else if (config->pages == VM_PAGES_SMALL)
        bytes += TABLES_BYTES(large_pages) + SLOTS_BYTES(large_pages * 512);
    else
        bytes += SLOTS_BYTES(large_pages);
    return round_up(bytes, 64 * KIB);
}

uint64_t vm_heap_bytes(const struct vm_config *config, enum vm_mode mode)
{
    uint64_t tables = config->memory_bytes / GIB + 2, bytes = HEAP_BASE_BYTES;

    if (mode == VM_MODE_PV)
        bytes += PV_HEAP_BYTES + config->memory_bytes / (4 * KIB) * PV_HEAP_BYTES_A_PAGE;
    else if (config->pages == VM_PAGES_SMALL)
        tables += config->memory_bytes / (2 * MIB);
    return round_up(bytes + BOOKKEEPING_BYTES(tables), 4 * KIB);
}

unsigned vm_next_piece_bits(uint64_t bytes, unsigned largest_bits)
{
    unsigned bits = 63u - (unsigned)__builtin_clzll(bytes);

    return bits < largest_bits ? bits : largest_bits;
}

/* As many as a monitor keeps account of (vmm/guest_memory.h). */
#define SINGLE_PIECES_MAX 64u

uint64_t vm_single_pieces(const struct vm_config *config, uint32_t mode)
{
    uint64_t pieces = config->memory_bytes >> VM_RAM_MIN_BITS;

    if (config->pages != VM_PAGES_LARGE || mode == VM_MODE_PV)
        return 0;
    return pieces < SINGLE_PIECES_MAX ? pieces : SINGLE_PIECES_MAX;
}

bool vm_starts_again(const struct vm_config *config, enum vm_end end, uint32_t crashes)
{
    switch (end) {
    case VM_END_REBOOT:
        return true;
    case VM_END_CRASHED:
        return config->restart == VM_RESTART_ALWAYS ||
               (config->restart == VM_RESTART_COUNT && crashes <= config->restart_limit);
    default:
        return false;
    }
}
