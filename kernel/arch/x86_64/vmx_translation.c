/* What processors remember of guests' translations (SDM 3C 29.4). */
#include <arch/x86_64/vmx.h>

#include <arch/x86_64/memory.h>
#include <arch/x86_64/vmx_instructions.h>

/* Read by the processor wherever a guest has no second-level root of its own. */
static const uint64_t empty_ept[512] __attribute__((aligned(4096)));

/* Counts changes; a CPU whose own count (struct cpu) is behind remembers translations that are gone. Each CPU has caches
 * of its own, so that this is the machine's. */
static uint64_t changes;

uint64_t vmx_empty_ept(void)
{
    return kernel_to_physical(empty_ept);
}

void vmx_invalidate_ept(uint64_t ept_pml4_physical)
{
    /* All roots at once, when a guest runs next: a monitor takes out many pages in a row. */
    (void)ept_pml4_physical;
    changes++;
}

void vmx_discard_ept(struct cpu *cpu)
{
    if (cpu->ept_changes == changes)
        return;
    cpu->ept_changes = changes;
    invept(INVALIDATE_ALL_CONTEXTS, (struct invalidation) { 0 });
}

void vmx_discard_vpid(unsigned vpid)
{
    if (!vmx_machine.has_vpid)
        return;
    if (vmx_machine.one_vpid)
        invvpid(INVALIDATE_ONE_CONTEXT, (struct invalidation) { .context = vpid });
    else
        invvpid(INVALIDATE_ALL_CONTEXTS, (struct invalidation) { 0 });
}
