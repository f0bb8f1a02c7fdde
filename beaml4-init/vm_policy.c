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

static uint64_t round_up(uint64_t bytes, uint64_t step)
{
    return (bytes + step - 1) / step * step;
}

uint64_t vm_objects_bytes(const struct vm_config *config)
{
    uint64_t directories = config->memory_bytes / GIB + 2; /* the low and the high region each begin one */
    uint64_t large_pages = config->memory_bytes / (2 * MIB);
    uint64_t bytes = OBJECTS_BASE_BYTES + TABLES_BYTES(directories);

    if (config->pages == VM_PAGES_SMALL)
        bytes += TABLES_BYTES(large_pages) + SLOTS_BYTES(large_pages * 512);
    else
        bytes += SLOTS_BYTES(large_pages);
    return round_up(bytes, 64 * KIB);
}

uint64_t vm_heap_bytes(const struct vm_config *config)
{
    uint64_t tables = config->memory_bytes / GIB + 2;

    if (config->pages == VM_PAGES_SMALL)
        tables += config->memory_bytes / (2 * MIB);
    return round_up(HEAP_BASE_BYTES + BOOKKEEPING_BYTES(tables), 4 * KIB);
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
