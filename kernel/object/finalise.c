/* A thread or CNode with its last capability gone becomes a zombie in the slot of that capability, and is emptied from
 * its last slot down. A capability in there may itself be the last one to some other CNode. Such a one is not emptied
 * in place, which would be unbounded recursion: it changes places with the first slot of what it refers to, so that
 * the work always stays one level deep.
 */
#include <object/finalise.h>

#include <api/ipc.h>
#include <object/derive.h>
#include <object/ioport.h>
#include <object/irq.h>
#include <object/tcb.h>
#include <object/vcpu.h>
#include <object/vspace.h>

static struct slot *zombie_slots(struct cap zombie)
{
    if (zombie_is_thread(zombie))
        return ((struct tcb *)cap_object(zombie))->slots;
    return cap_object(zombie);
}

/* What is left of CAP after the effects of deleting it: null, or a zombie. */
static struct cap finalise(struct cpu *cpu, struct cap cap, bool final)
{
    switch (cap.type) {
    case CAP_ENDPOINT:
        if (final)
            endpoint_cancel_all(cpu, cap_object(cap));
        break;
    case CAP_NOTIFICATION:
        if (final) {
            notification_unbind(cap_object(cap));
            notification_cancel_all(cpu, cap_object(cap));
        }
        break;
    case CAP_CNODE:
        if (final)
            return cap_make(CAP_ZOMBIE, cap_physical(cap), cnode_radix(cap), 1ul << cnode_radix(cap));
        break;
    case CAP_THREAD:
        if (final) {
            tcb_finalise(cpu, cap_object(cap));
            return cap_make(CAP_ZOMBIE, cap_physical(cap), ZOMBIE_THREAD, TCB_SLOT_COUNT);
        }
        break;
    case CAP_ZOMBIE:
        return cap;
    case CAP_IRQ_HANDLER:
        if (final)
            irq_finalise(cpu, (unsigned)cap.data);
        break;
    case CAP_IO_PORT:
        vcpu_io_port_gone(cap);
        if (final)
            ioport_finalise(cap);
        break;
    case CAP_FRAME:
    case CAP_PAGE_TABLE:
    case CAP_PAGE_DIRECTORY:
    case CAP_PDPT:
    case CAP_PML4:
    case CAP_ASID_POOL:
    case CAP_IO_PAGE_TABLE:
        vspace_finalise(cpu, cap, final);
        break;
    case CAP_EPT_PAGE_TABLE:
    case CAP_EPT_PAGE_DIRECTORY:
    case CAP_EPT_PDPT:
    case CAP_EPT_PML4:
        ept_finalise(cpu, cap, final);
        break;
    case CAP_VCPU:
        if (final)
            vcpu_finalise(cpu, cap_object(cap));
        break;
    default:
        break;
    }
    return cap_null();
}

/* Whether the slot can simply be emptied: a zombie may hold itself in its first slot, the last one to go. */
static bool removable(struct cap cap, const struct slot *slot)
{
    return cap.type == CAP_NULL || cap.data == 0 || (cap.data == 1 && slot == zombie_slots(cap));
}

enum progress { EMPTIED, POSTPONED, STOPPED };

/* One step into a slot inside a zombie: what it holds is finalised, and where that leaves a zombie, the zombie goes to
 * the first of its own slots. EMPTIED: the slot is empty now, or holds what stood in that first slot. */
static enum progress delete_inner(struct cpu *cpu, struct slot *slot)
{
    while (slot->cap.type != CAP_NULL) {
        struct cap rest = finalise(cpu, slot->cap, slot_is_final(slot));

        if (removable(rest, slot)) {
            slot_clear(slot);
            return EMPTIED;
        }
        slot->cap = rest;

        struct slot *first = zombie_slots(rest);
        if (first == slot)
            return POSTPONED;
        slot_swap(slot->cap, slot, first->cap, first);
        if (preemption_point(cpu))
            return STOPPED;
    }
    return EMPTIED;
}

/* Empties the last slot of the zombie in SLOT. */
static enum progress shrink_zombie(struct cpu *cpu, struct slot *slot)
{
    struct cap zombie = slot->cap;
    struct slot *last = zombie_slots(zombie) + (zombie.data - 1);
    enum progress progress = delete_inner(cpu, last);

    if (progress == STOPPED)
        return STOPPED;

    /* The zombie may have changed places meanwhile; whoever finds it next goes on with it. */
    struct cap now = slot->cap;
    if (now.type == CAP_ZOMBIE && now.object == zombie.object && now.bits == zombie.bits && now.data == zombie.data
        && last->cap.type == CAP_NULL)
        slot->cap.data--;
    return EMPTIED;
}

bool slot_delete(struct cpu *cpu, struct slot *slot)
{
    while (slot->cap.type != CAP_NULL) {
        struct cap rest = finalise(cpu, slot->cap, slot_is_final(slot));

        if (removable(rest, slot)) {
            slot_clear(slot);
            return true;
        }
        slot->cap = rest;
        if (shrink_zombie(cpu, slot) == STOPPED || preemption_point(cpu))
            return false;
    }
    return true;
}

bool slot_revoke(struct cpu *cpu, struct slot *slot)
{
    while (slot_has_children(slot)) {
        if (!slot_delete(cpu, slot_next(slot)) || preemption_point(cpu))
            return false;
    }
    return true;
}

void slot_delete_one(struct cpu *cpu, struct slot *slot)
{
    if (slot->cap.type == CAP_NULL)
        return;

    /* For a frame it makes no difference, and frames are what goes by the thousand. */
    bool final = slot->cap.type == CAP_FRAME || slot_is_final(slot);
    struct cap rest = finalise(cpu, slot->cap, final);
    assert(rest.type == CAP_NULL);
    (void)rest;
    slot_clear(slot);
}
