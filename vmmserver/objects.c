#include "vmmserver/objects.h"

#define CNODE_INDEX_BITS 32u /* each of the two levels of a service's capability space resolves so many */
#define POINTER_BITS     64u
#define CNODE_MIN_BITS   8u
#define CNODE_MAX_BITS   16u
#define FIXED_RESERVE    256u /* slots of the first CNode that are not for runs */

static seL4_CPtr pointer_to(uint32_t cnode, uint32_t slot)
{
    return (seL4_CPtr)cnode << CNODE_INDEX_BITS | slot;
}

void objects_init(struct objects *objects, const struct startup *startup)
{
    *objects = (struct objects) {
        .fixed = { .next = startup->first_free_slot + 1, .end = UINT32_C(1) << startup->static_cnode_bits },
        .spare_slot = startup->first_free_slot,
    };
    for (unsigned i = 0; i < startup->vm.untyped_count && i < OBJECTS_UNTYPED_MAX; i++) {
        objects->untyped[i].slot = startup->vm.untyped[i].slot;
        objects->untyped[i].bytes = UINT64_C(1) << startup->vm.untyped[i].size_bits;
        objects->count++;
    }
}

/* How many objects of SIZE bytes fit behind what has been used of an untyped; objects are aligned to their size. */
static uint64_t room(const struct objects *objects, unsigned i, uint64_t size)
{
    uint64_t start = (objects->untyped[i].used + size - 1) & -size;

    return start < objects->untyped[i].bytes ? (objects->untyped[i].bytes - start) / size : 0;
}

static bool retype(struct objects *objects, unsigned i, seL4_Word type, unsigned size_bits, unsigned count,
                   seL4_CPtr first)
{
    uint64_t size = UINT64_C(1) << size_bits;
    /* The number that the kernel wants is the object's own idea of its size: slots of a CNode, nothing for most. */
    seL4_Word user_bits = type == seL4_CapTableObject ? size_bits - seL4_SlotBits : 0;

    if (seL4_Untyped_Retype(objects->untyped[i].slot, type, user_bits, SLOT_ROOT_CNODE, first >> CNODE_INDEX_BITS,
                            CNODE_INDEX_BITS, first & UINT32_MAX, count) != seL4_NoError)
        return false;
    objects->untyped[i].used = ((objects->untyped[i].used + size - 1) & -size) + count * size;
    return true;
}

/* The untyped with the least left that has room for one: large pieces stay for large objects, and of equal ones those that
 * come first, for they are for the guest's RAM. */
static bool find_smallest(const struct objects *objects, uint64_t size, unsigned *found)
{
    uint64_t least = UINT64_MAX;

    for (unsigned i = 0; i < objects->count; i++) {
        uint64_t left = objects->untyped[i].bytes - objects->untyped[i].used;

        if (room(objects, i, size) > 0 && left <= least) {
            least = left;
            *found = i;
        }
    }
    return least != UINT64_MAX;
}

bool objects_make(struct objects *objects, seL4_Word type, unsigned size_bits, seL4_CPtr *object)
{
    unsigned i;

    if (objects->fixed.next == objects->fixed.end || !find_smallest(objects, UINT64_C(1) << size_bits, &i))
        return false;
    *object = pointer_to(0, objects->fixed.next);
    if (!retype(objects, i, type, size_bits, 1, *object))
        return false;
    objects->fixed.next++;
    return true;
}

bool objects_make_in(struct objects *objects, seL4_Word type, unsigned size_bits, seL4_CPtr slot)
{
    unsigned i;

    return find_smallest(objects, UINT64_C(1) << size_bits, &i) && retype(objects, i, type, size_bits, 1, slot);
}

/* Hangs another CNode into the root, as large as what is expected asks for. */
static bool add_cnode(struct objects *objects)
{
    unsigned bits = CNODE_MIN_BITS, i;
    uint32_t index = objects->last_cnode + 1;

    while (bits < CNODE_MAX_BITS && UINT64_C(2) << bits <= objects->frames_expected)
        bits++;
    seL4_Word guard = seL4_CNode_CapData_new(0, CNODE_INDEX_BITS - bits).words[0];
    if (index >= UINT32_C(1) << SERVICE_ROOT_CNODE_BITS ||
        !find_smallest(objects, UINT64_C(1) << (bits + seL4_SlotBits), &i) ||
        !retype(objects, i, seL4_CapTableObject, bits + seL4_SlotBits, 1, objects->spare_slot) ||
        seL4_CNode_Mutate(SLOT_ROOT_CNODE, index, CNODE_INDEX_BITS, SLOT_ROOT_CNODE, objects->spare_slot, POINTER_BITS,
                          guard) != seL4_NoError)
        return false;
    objects->last_cnode = index;
    objects->added = (struct slot_range) { .cnode = index, .end = UINT32_C(1) << bits };
    return true;
}

void objects_expect(struct objects *objects, uint64_t slots)
{
    objects->frames_expected += slots;
    if (objects->added.cnode == 0 && objects->fixed.end - objects->fixed.next >= slots + FIXED_RESERVE) {
        objects->added = objects->fixed;
        objects->added.end = objects->fixed.next + (uint32_t)slots;
        objects->fixed.next += (uint32_t)slots;
    }
}

bool objects_take_slots(struct objects *objects, unsigned count, seL4_CPtr *first)
{
    if (objects->added.end - objects->added.next < count && !add_cnode(objects))
        return false;
    if (objects->added.end - objects->added.next < count)
        return false;
    *first = pointer_to(objects->added.cnode, objects->added.next);
    objects->added.next += count;
    objects->frames_expected -= objects->frames_expected > count ? count : objects->frames_expected;
    return true;
}

unsigned objects_make_many(struct objects *objects, seL4_Word type, unsigned size_bits, unsigned maximum,
                           seL4_CPtr *first)
{
    uint64_t most = 0;
    unsigned largest = 0;

    for (unsigned i = 0; i < objects->count; i++) {
        if (room(objects, i, UINT64_C(1) << size_bits) > most) {
            most = room(objects, i, UINT64_C(1) << size_bits);
            largest = i;
        }
    }
    if (maximum > OBJECTS_RUN_MAX)
        maximum = OBJECTS_RUN_MAX;
    if (maximum > most)
        maximum = (unsigned)most;
    if (maximum == 0 || !objects_take_slots(objects, maximum, first) ||
        !retype(objects, largest, type, size_bits, maximum, *first))
        return 0;
    return maximum;
}

bool objects_copy(seL4_CPtr object, seL4_CPtr copy)
{
    return seL4_CNode_Copy(SLOT_ROOT_CNODE, copy, POINTER_BITS, SLOT_ROOT_CNODE, object, POINTER_BITS,
                           seL4_AllRights) == seL4_NoError;
}
