#include "vmm/balloon.h"

#include "vmm/exits.h"

#define INSTRUCTION_BYTES 3u /* VMCALL, VMMCALL */
#define PRIVILEGE_SHIFT   5u /* DPL in a segment's access rights: of SS, it is the CPL (SDM 3C 25.4.1) */

static enum balloon_result give(struct balloon *balloon, uint64_t address)
{
    struct guest_memory *memory = &balloon->monitor->machine.memory;

    if (address % GUEST_PAGE_BYTES != 0 || !guest_memory_at(memory, address, GUEST_PAGE_BYTES))
        return BALLOON_INVALID;
    if (memory->hole_count == GUEST_MEMORY_HOLES)
        return BALLOON_BUSY;
    /* Nobody here may reach for it from now on. */
    memory->hole[memory->hole_count++] = address;
    if (balloon->give(balloon->context, address)) {
        balloon->given++;
        return BALLOON_OK;
    }
    memory->hole_count--;
    return BALLOON_BUSY;
}

/* From the guest's kernel alone; another's call is not ours to answer. */
static enum fault_result handle(void *context, const struct vcpu_exit *exit)
{
    struct balloon *balloon = context;
    struct vcpu *vcpu = &balloon->monitor->vcpu;

    if ((vcpu_get(vcpu, VCPU_RAX) & UINT32_MAX) != BALLOON_HYPERCALL ||
        (vcpu_get(vcpu, VCPU_SEGMENT(VCPU_SS, VCPU_ACCESS)) >> PRIVILEGE_SHIFT & 3) != 0)
        return FAULT_PASS;
    vcpu_set(vcpu, VCPU_RAX, (uint64_t)(int64_t)give(balloon, vcpu_get(vcpu, VCPU_RBX)));
    vcpu_skip(vcpu, exit->instruction_length ? exit->instruction_length : INSTRUCTION_BYTES);
    return FAULT_HANDLED;
}

bool balloon_init(struct balloon *balloon, struct monitor *monitor, bool (*give_page)(void *context, uint64_t address),
                  void *context)
{
    *balloon = (struct balloon) { .monitor = monitor, .give = give_page, .context = context };
    return fault_register(&monitor->router, VCPU_EXIT_HYPERCALL, EXITS_PRIORITY + 2, handle, balloon);
}
