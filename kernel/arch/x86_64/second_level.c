#include <arch/x86_64/second_level.h>

#include <arch/x86_64/memory.h>
#include <object/paging.h>
#include <object/tcb.h>

#define EPT_READ      (1ul << 0)
#define EPT_WRITE     (1ul << 1)
#define EPT_EXECUTE   (1ul << 2)
#define EPT_TYPE_BITS 3

/* Read by the processor wherever a guest has no second-level root of its own. */
static const uint64_t empty_root[512] __attribute__((aligned(4096)));

/* Counts changes; a CPU whose own count (struct cpu) is behind remembers translations that are gone. Each CPU has caches
 * of its own, so that this is the machine's. */
static uint64_t changes;

static uint64_t ept_memory_type(uint64_t attributes, unsigned level)
{
    (void)level;
    switch (attributes) {
    case seL4_X86_EPT_Uncacheable:
    case seL4_X86_EPT_WriteCombining:
    case seL4_X86_EPT_WriteThrough:
        return attributes << EPT_TYPE_BITS;
    default:
        return (uint64_t)seL4_X86_EPT_WriteBack << EPT_TYPE_BITS;
    }
}

/* The bits that a user's mapping of the same kind has: the kernel's PAT says what they mean. */
static uint64_t nested_memory_type(uint64_t attributes, unsigned level)
{
    seL4_X86_VMAttributes kind;

    switch (attributes) {
    case seL4_X86_EPT_Uncacheable:
        kind = seL4_X86_Uncacheable;
        break;
    case seL4_X86_EPT_WriteCombining:
        kind = seL4_X86_WriteCombining;
        break;
    case seL4_X86_EPT_WriteThrough:
        kind = seL4_X86_WriteThrough;
        break;
    default:
        kind = seL4_X86_WriteBack;
        break;
    }
    return frame_entry(0, level, 0, kind) & ~frame_entry(0, level, 0, seL4_X86_WriteBack);
}

static const struct second_level_format extended = {
    .present = EPT_READ | EPT_WRITE | EPT_EXECUTE,
    .table = EPT_READ | EPT_WRITE | EPT_EXECUTE,
    .readable = EPT_READ | EPT_EXECUTE,
    .writable = EPT_WRITE,
    .memory_type = ept_memory_type,
};

/* A processor walks nested tables as if it were a user's access (APM 2 15.25.5). */
static const struct second_level_format nested = {
    .present = ENTRY_PRESENT,
    .table = ENTRY_PRESENT | ENTRY_WRITABLE | ENTRY_USER,
    .readable = ENTRY_PRESENT | ENTRY_USER,
    .writable = ENTRY_WRITABLE,
    .memory_type = nested_memory_type,
};

static const struct second_level_format *format = &extended;

const struct second_level_format *second_level_format(void)
{
    return format;
}

void second_level_use_nested_pages(void)
{
    format = &nested;
}

uint64_t second_level_root(const struct tcb *thread)
{
    struct cap cap = thread->slots[TCB_EPT].cap;

    if (cap.type == CAP_EPT_PML4 && asid_find(mapping_asid(cap), ASID_EPT) == cap_physical(cap))
        return cap_physical(cap);
    return kernel_to_physical(empty_root);
}

void second_level_change(void)
{
    changes++;
}

bool second_level_changed(struct cpu *cpu)
{
    if (cpu->second_level_changes == changes)
        return false;
    cpu->second_level_changes = changes;
    return true;
}
