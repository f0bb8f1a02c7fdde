/* seL4 reference manual, 2.4 (kernel memory allocation). */
#include <object/untyped.h>

#include <api/ipc.h>
#include <core/lookup.h>
#include <lib/string.h>
#include <object/derive.h>
#include <object/mapping.h>
#include <object/tcb.h>
#include <object/vcpu.h>
#include <object/vspace.h>

/* Memory is zeroed in steps of this many bytes, between which interrupts are looked for. */
#define RESET_CHUNK 4096ul

unsigned object_size_bits(uint64_t object_type, uint64_t user_size_bits)
{
    switch (object_type) {
    case seL4_UntypedObject:
        return (unsigned)user_size_bits;
    case seL4_CapTableObject:
        return (unsigned)user_size_bits + seL4_SlotBits;
    case seL4_TCBObject:
        return seL4_TCBBits;
    case seL4_EndpointObject:
        return seL4_EndpointBits;
    case seL4_NotificationObject:
        return seL4_NotificationBits;
    case seL4_X64_HugePageObject:
        return seL4_HugePageBits;
    case seL4_X86_LargePageObject:
        return seL4_LargePageBits;
    case seL4_X86_VCPUObject:
        return seL4_X86_VCPUBits;
    case seL4_X86_PDPTObject:
    case seL4_X64_PML4Object:
    case seL4_X86_4K:
    case seL4_X86_PageTableObject:
    case seL4_X86_PageDirectoryObject:
    case seL4_X86_IOPageTableObject:
    case seL4_X86_EPTPML4Object:
    case seL4_X86_EPTPDPTObject:
    case seL4_X86_EPTPDObject:
    case seL4_X86_EPTPTObject:
        return seL4_PageBits;
    default:
        return 0;
    }
}

static bool may_be_device(uint64_t object_type)
{
    return object_type == seL4_UntypedObject || object_type == seL4_X86_4K
        || object_type == seL4_X86_LargePageObject || object_type == seL4_X64_HugePageObject;
}

static bool needs_vtx(uint64_t object_type)
{
    return object_type >= seL4_X86_VCPUObject && object_type <= seL4_X86_EPTPTObject;
}

/* Initialises one object in zeroed memory. */
static struct cap new_object(struct cpu *cpu, uint64_t object_type, uint64_t physical, unsigned user_size_bits,
                             bool device)
{
    switch (object_type) {
    case seL4_UntypedObject:
        return cap_untyped(physical, user_size_bits, device, 0);
    case seL4_TCBObject:
        tcb_init(cpu, physical_to_kernel(physical));
        return cap_make(CAP_THREAD, physical, 0, 0);
    case seL4_EndpointObject:
        return cap_make(CAP_ENDPOINT, physical, RIGHTS_ALL, 0);
    case seL4_NotificationObject:
        return cap_make(CAP_NOTIFICATION, physical, RIGHT_READ | RIGHT_WRITE, 0);
    case seL4_CapTableObject:
        return cap_cnode(physical, user_size_bits, 0, 0);
    case seL4_X86_VCPUObject:
        vcpu_init_object(physical_to_kernel(physical));
        return cap_make(CAP_VCPU, physical, 0, 0);
    default:
        return vspace_new_object(object_type, physical, device);
    }
}

/* Makes all of a childless untyped's memory free again, and zero. False where preempted. */
static bool reset(struct cpu *cpu, struct slot *slot)
{
    struct cap cap = slot->cap;

    if (untyped_is_device(cap)) {
        slot->cap.data = 0;
        return true;
    }
    while (slot->cap.data > 0) {
        uint64_t start = (slot->cap.data - 1) & ~(RESET_CHUNK - 1);

        memset((char *)cap_object(cap) + start, 0, slot->cap.data - start);
        slot->cap.data = start;
        if (start > 0 && preemption_point(cpu))
            return false;
    }
    return true;
}

/* The CNode that shall receive the new capabilities; type CAP_NULL, having failed the call, where there is none. */
static struct cap destination(struct invocation *call, uint64_t index, uint64_t depth)
{
    struct lookup_failure failure = { .type = seL4_MissingCapability, .bits_left = (uint8_t)depth };
    struct cap root = call->extra[0]->cap;
    struct slot *slot = call->extra[0];

    if (depth != 0) {
        if (root.type == CAP_CNODE && depth > seL4_WordBits) {
            fail_range(call, 1, seL4_WordBits);
            return cap_null();
        }
        slot = lookup_target(root, index, depth, &failure);
        if (!slot) {
            fail_lookup(call, false, &failure);
            return cap_null();
        }
    }
    if (slot->cap.type != CAP_CNODE) {
        fail_lookup(call, false, &failure);
        return cap_null();
    }
    return slot->cap;
}

static void retype(struct invocation *call)
{
    uint64_t type = argument(call, 0), user_size_bits = argument(call, 1), offset = argument(call, 4);
    uint64_t count = argument(call, 5);
    struct cap untyped = call->cap;

    if (type >= seL4_ObjectTypeCount) {
        fail_argument(call, 0);
        return;
    }
    if (user_size_bits >= seL4_WordBits || object_size_bits(type, user_size_bits) > seL4_MaxUntypedBits) {
        fail_range(call, 0, seL4_MaxUntypedBits);
        return;
    }
    if ((type == seL4_CapTableObject && user_size_bits == 0)
        || (type == seL4_UntypedObject && user_size_bits < seL4_MinUntypedBits)) {
        fail_argument(call, 1);
        return;
    }
    if (needs_vtx(type) && !vcpu_available()) {
        fail(call, seL4_IllegalOperation);
        return;
    }

    struct cap node = destination(call, argument(call, 2), argument(call, 3));
    if (node.type == CAP_NULL)
        return;
    uint64_t node_size = 1ul << cnode_radix(node);
    if (offset > node_size - 1) {
        fail_range(call, 0, node_size - 1);
        return;
    }
    if (count < 1 || count > CONFIG_RETYPE_FAN_OUT_LIMIT) {
        fail_range(call, 1, CONFIG_RETYPE_FAN_OUT_LIMIT);
        return;
    }
    if (count > node_size - offset) {
        fail_range(call, 1, node_size - offset);
        return;
    }
    struct slot *slots = (struct slot *)cap_object(node) + offset;
    for (uint64_t i = 0; i < count; i++) {
        if (slots[i].cap.type != CAP_NULL) {
            fail(call, seL4_DeleteFirst);
            return;
        }
    }

    unsigned size_bits = object_size_bits(type, user_size_bits);
    bool childless = !slot_has_children(call->slot);
    uint64_t used = childless ? 0 : untyped.data;
    uint64_t free = (1ul << untyped_size_bits(untyped)) - used;
    if (free >> size_bits < count) {
        fail_memory(call, free);
        return;
    }
    if (untyped_is_device(untyped) && !may_be_device(type)) {
        fail_argument(call, 1);
        return;
    }

    if (childless && !reset(call->cpu, call->slot)) {
        preempted(call);
        return;
    }
    used = (used + (1ul << size_bits) - 1) & ~((1ul << size_bits) - 1);
    call->slot->cap.data = used + (count << size_bits);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t physical = cap_physical(untyped) + used + (i << size_bits);

        slot_insert_child(call->slot, &slots[i],
                          new_object(call->cpu, type, physical, (unsigned)user_size_bits, untyped_is_device(untyped)));
    }
}

void untyped_invoke(struct invocation *call)
{
    if (call->label != UntypedRetype)
        fail(call, seL4_IllegalOperation);
    else if (call->length < 6 || !has_extra(call, 1))
        fail(call, seL4_TruncatedMessage);
    else
        retype(call);
}
