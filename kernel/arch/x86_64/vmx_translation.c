/* What processors remember of guests' translations (SDM 3C 29.4). */
#include <arch/x86_64/vmx.h>

#include <arch/x86_64/second_level.h>
#include <arch/x86_64/vmx_instructions.h>

void vmx_discard_ept(struct cpu *cpu)
{
    if (second_level_changed(cpu))
        invept(INVALIDATE_ALL_CONTEXTS, (struct invalidation) { 0 });
}

void vmx_discard_vpid(unsigned vpid)
{
    /* AMD-V's guests have such a number as well, for their ports. */
    if (virtualization() != &vmx_virtualization || !vmx_machine.has_vpid)
        return;
    if (vmx_machine.one_vpid)
        invvpid(INVALIDATE_ONE_CONTEXT, (struct invalidation) { .context = vpid });
    else
        invvpid(INVALIDATE_ALL_CONTEXTS, (struct invalidation) { 0 });
}
