#include <object/derive.h>

#include <object/ioport.h>
#include <object/mapping.h>
#include <object/vspace.h>

/* log2 of the size of what CAP refers to; 0 for capabilities that are not about memory. */
static unsigned memory_bits(struct cap cap)
{
    switch (cap.type) {
    case CAP_UNTYPED:
        return untyped_size_bits(cap);
    case CAP_ENDPOINT:
        return seL4_EndpointBits;
    case CAP_NOTIFICATION:
        return seL4_NotificationBits;
    case CAP_CNODE:
        return cnode_radix(cap) + seL4_SlotBits;
    case CAP_THREAD:
        return seL4_TCBBits;
    case CAP_ZOMBIE:
        return zombie_is_thread(cap) ? seL4_TCBBits : cap.bits + seL4_SlotBits;
    case CAP_FRAME:
        return frame_size_bits(cap);
    case CAP_VCPU:
        return seL4_X86_VCPUBits;
    case CAP_PAGE_TABLE:
    case CAP_PAGE_DIRECTORY:
    case CAP_PDPT:
    case CAP_PML4:
    case CAP_ASID_POOL:
    case CAP_IO_PAGE_TABLE:
    case CAP_EPT_PAGE_TABLE:
    case CAP_EPT_PAGE_DIRECTORY:
    case CAP_EPT_PDPT:
    case CAP_EPT_PML4:
        return seL4_PageBits;
    default:
        return 0;
    }
}

static bool contains(struct cap outer, struct cap inner)
{
    unsigned inner_bits = memory_bits(inner);
    if (inner_bits == 0)
        return false;

    uint64_t outer_first = cap_physical(outer), inner_first = cap_physical(inner);
    uint64_t outer_last = outer_first + (1ul << memory_bits(outer)) - 1;
    uint64_t inner_last = inner_first + (1ul << inner_bits) - 1;
    return outer_first <= inner_first && inner_last <= outer_last;
}

bool cap_same_region(struct cap a, struct cap b)
{
    switch (a.type) {
    case CAP_NULL:
    case CAP_ZOMBIE:
        return false;
    case CAP_UNTYPED:
        return contains(a, b);
    case CAP_FRAME:
        return b.type == CAP_FRAME && frame_is_device(a) == frame_is_device(b) && contains(a, b);
    case CAP_IRQ_CONTROL:
        return b.type == CAP_IRQ_CONTROL || b.type == CAP_IRQ_HANDLER;
    case CAP_IO_PORT_CONTROL:
        return b.type == CAP_IO_PORT_CONTROL || b.type == CAP_IO_PORT;
    case CAP_IRQ_HANDLER:
    case CAP_IO_PORT:
        return b.type == a.type && b.data == a.data;
    case CAP_DOMAIN:
    case CAP_ASID_CONTROL:
        return b.type == a.type;
    case CAP_CNODE:
        return b.type == CAP_CNODE && b.object == a.object && cnode_radix(b) == cnode_radix(a);
    default:
        return b.type == a.type && b.object == a.object;
    }
}

bool cap_same_object(struct cap a, struct cap b)
{
    if (a.type == CAP_UNTYPED || a.type != b.type)
        return false;
    if (a.type == CAP_FRAME)
        return a.object == b.object && frame_size(a) == frame_size(b) && frame_is_device(a) == frame_is_device(b);
    return cap_same_region(a, b);
}

/* Whether CAP, made out of SOURCE, may have children of its own. */
static bool becomes_revocable(struct cap cap, struct cap source)
{
    switch (cap.type) {
    case CAP_UNTYPED:
        return true;
    case CAP_ENDPOINT:
    case CAP_NOTIFICATION:
        return cap.data != source.data;
    case CAP_IRQ_HANDLER:
        return source.type == CAP_IRQ_CONTROL;
    case CAP_IO_PORT:
        return source.type == CAP_IO_PORT_CONTROL;
    default:
        return false;
    }
}

static void set_next(struct slot *slot, struct slot *next)
{
    slot->next = (uint64_t)next | (slot->next & 3);
}

/* Makes the neighbours of a slot point at it. */
static void link_neighbours(struct slot *slot)
{
    if (slot->previous)
        set_next(slot->previous, slot);
    if (slot_next(slot))
        slot_next(slot)->previous = slot;
}

static void insert_behind(struct slot *before, struct slot *slot, struct cap cap, uint64_t flags)
{
    assert(slot->cap.type == CAP_NULL);
    slot->cap = cap;
    slot->next = (uint64_t)slot_next(before) | flags;
    slot->previous = before;
    link_neighbours(slot);
}

void slot_insert(struct cap cap, struct slot *from, struct slot *to)
{
    struct cap source = from->cap;
    bool revocable = becomes_revocable(cap, source);

    /* Two capabilities to one untyped must not both hand out its memory: the source counts as used up. */
    if (source.type == CAP_UNTYPED && cap.type == CAP_UNTYPED && source.object == cap.object
        && untyped_size_bits(source) == untyped_size_bits(cap))
        from->cap.data = 1ul << untyped_size_bits(source);
    insert_behind(from, to, cap, revocable ? SLOT_REVOCABLE | SLOT_FIRST_BADGED : 0);
}

void slot_insert_child(struct slot *parent, struct slot *to, struct cap cap)
{
    insert_behind(parent, to, cap, SLOT_REVOCABLE | SLOT_FIRST_BADGED);
}

void slot_insert_root(struct slot *to, struct cap cap)
{
    *to = (struct slot) { .cap = cap, .next = SLOT_REVOCABLE | SLOT_FIRST_BADGED };
}

void slot_move(struct cap cap, struct slot *from, struct slot *to)
{
    assert(to->cap.type == CAP_NULL && from != to);
    *to = *from;
    to->cap = cap;
    *from = (struct slot) { .cap = cap_null() };
    link_neighbours(to);
}

void slot_swap(struct cap cap_a, struct slot *a, struct cap cap_b, struct slot *b)
{
    struct slot hole = { .cap = cap_null() };

    if (a == b)
        return;
    slot_move(cap_a, a, &hole);
    slot_move(cap_b, b, a);
    slot_move(hole.cap, &hole, b);
}

void slot_clear(struct slot *slot)
{
    struct slot *next = slot_next(slot);

    if (slot->cap.type == CAP_NULL)
        return;
    if (slot->previous)
        set_next(slot->previous, next);
    if (next) {
        next->previous = slot->previous;
        next->next |= slot->next & SLOT_FIRST_BADGED;
    }
    *slot = (struct slot) { .cap = cap_null() };
}

bool derive_is_parent(const struct slot *parent, const struct slot *child)
{
    if (!(parent->next & SLOT_REVOCABLE) || !cap_same_region(parent->cap, child->cap))
        return false;
    if ((parent->cap.type == CAP_ENDPOINT || parent->cap.type == CAP_NOTIFICATION) && parent->cap.data != 0)
        return parent->cap.data == child->cap.data && !(child->next & SLOT_FIRST_BADGED);
    return true;
}

bool slot_has_children(const struct slot *slot)
{
    const struct slot *next = slot_next(slot);

    return next && derive_is_parent(slot, next);
}

bool slot_is_final(const struct slot *slot)
{
    const struct slot *next = slot_next(slot);

    return !(slot->previous && cap_same_object(slot->previous->cap, slot->cap))
        && !(next && cap_same_object(slot->cap, next->cap));
}

struct cap cap_mask_rights(struct cap cap, unsigned rights)
{
    unsigned kept;

    switch (cap.type) {
    case CAP_ENDPOINT:
        cap.bits &= rights & RIGHTS_ALL;
        break;
    case CAP_NOTIFICATION:
        cap.bits &= rights & (RIGHT_READ | RIGHT_WRITE);
        break;
    case CAP_REPLY:
        if (!(rights & RIGHT_GRANT))
            cap.bits &= 1;
        break;
    case CAP_FRAME:
        kept = frame_rights(cap) & rights;
        if (!(kept & RIGHT_READ))
            kept = 0;
        cap.bits = FRAME_BITS(frame_size(cap), kept, frame_is_device(cap), frame_use(cap)) & 0x3fff;
        break;
    default:
        break;
    }
    return cap;
}

struct cap cap_update_data(bool keep, uint64_t data, struct cap cap)
{
    switch (cap.type) {
    case CAP_ENDPOINT:
    case CAP_NOTIFICATION:
        if (keep || cap.data != 0)
            return cap_null();
        cap.data = data;
        return cap;
    case CAP_CNODE: {
        unsigned guard_size = data & 63;
        uint64_t guard = data >> seL4_GuardSizeBits & ((1ul << guard_size) - 1);

        if (guard_size + cnode_radix(cap) > seL4_WordBits)
            return cap_null();
        return cap_cnode(cap_physical(cap), cnode_radix(cap), guard_size, guard);
    }
    default:
        return cap;
    }
}

bool cap_derive(struct invocation *call, struct slot *slot, struct cap cap, struct cap *derived)
{
    switch (cap.type) {
    case CAP_ZOMBIE:
    case CAP_IRQ_CONTROL:
    case CAP_REPLY:
    case CAP_IO_PORT_CONTROL:
        *derived = cap_null();
        return true;
    case CAP_UNTYPED:
        if (slot_has_children(slot)) {
            fail(call, seL4_RevokeFirst);
            return false;
        }
        *derived = cap;
        return true;
    case CAP_FRAME:
    case CAP_PAGE_TABLE:
    case CAP_PAGE_DIRECTORY:
    case CAP_PDPT:
    case CAP_PML4:
    case CAP_ASID_CONTROL:
    case CAP_ASID_POOL:
    case CAP_IO_SPACE:
    case CAP_IO_PAGE_TABLE:
    case CAP_EPT_PAGE_TABLE:
    case CAP_EPT_PAGE_DIRECTORY:
    case CAP_EPT_PDPT:
    case CAP_EPT_PML4:
        return vspace_derive(call, cap, derived);
    default:
        *derived = cap;
        return true;
    }
}
