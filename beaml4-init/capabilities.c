/* What a process holds, as the kernel has it: each slot is copied, the copy identified and deleted. */
#include "beaml4-init/init.h"

/* Of a call, so that others are served in between. */
#define SLOTS_AT_ONCE 1024u

/* The kernel's number for a type (upstream: structures.bf); an untyped with children cannot be copied. */
#define TYPE_UNTYPED 2u

static uint32_t identify(const struct process *process, uint64_t slot, seL4_CPtr copy)
{
    seL4_Uint8 depth = (seL4_Uint8)process->startup.static_cnode_bits;
    seL4_Error error = seL4_CNode_Copy(INIT_CNODE, copy, INIT_DEPTH, process->static_cnode, slot, depth, seL4_AllRights);

    if (error != seL4_NoError)
        return error == seL4_RevokeFirst ? TYPE_UNTYPED : 0;
    uint32_t type = seL4_DebugCapIdentify(copy);
    seL4_CNode_Delete(INIT_CNODE, copy, INIT_DEPTH);
    return type;
}

void capabilities_read(struct init *init, const struct process *process, uint64_t from,
                       struct debug_capabilities *capabilities)
{
    uint64_t slots = UINT64_C(1) << process->startup.static_cnode_bits, slot = from;
    seL4_CPtr copy;

    *capabilities = (struct debug_capabilities) { .next = 0 };
    if (resources_take_slot(&init->resources, &copy))
        return;
    for (; slot < slots && slot - from < SLOTS_AT_ONCE && capabilities->count < DEBUG_CAPABILITIES; slot++) {
        uint64_t type = identify(process, slot, copy);
        if (type != 0)
            capabilities->found[capabilities->count++] = type << 32 | slot;
    }
    resources_give_slot(&init->resources, copy);
    if (slot < slots)
        capabilities->next = slot;
}
