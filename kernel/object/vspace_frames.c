/* Invocations of an address space's root, beyond upstream (sel4/beaml4.h): what page tables that change all the time
 * need. */
#include <object/paging.h>

#include <core/lookup.h>
#include <object/derive.h>
#include <object/finalise.h>
#include <sel4/beaml4.h>

#define FLAGS (BEAML4_MAP_WRITE | BEAML4_MAP_NO_EXECUTE | BEAML4_MAP_LARGE)
#define PAGE_MASK ((1ul << seL4_PageBits) - 1)

static struct slot *find(const struct invocation *call, uint64_t pointer)
{
    struct lookup_failure failure;

    return lookup_slot(call->caller, pointer, &failure);
}

/* The error says which of the entries it is about. */
static bool refuse(struct invocation *call, seL4_Error error, unsigned number)
{
    fail(call, error);
    result(call, number);
    return false;
}

static bool is_free_for_frame(const struct slot *slot)
{
    return slot->cap.type == CAP_NULL || slot->cap.type == CAP_FRAME;
}

static bool map_frame(struct invocation *call, unsigned number)
{
    unsigned first = number * BEAML4_MAP_WORDS, missing_bits;
    struct slot *source = find(call, argument(call, first)), *slot = find(call, argument(call, first + 1));
    uint64_t flags = argument(call, first + 2) & PAGE_MASK, address = argument(call, first + 2) & ~PAGE_MASK;
    uint64_t offset = argument(call, first + 3), root = cap_physical(call->cap);
    unsigned level = flags & BEAML4_MAP_LARGE ? LEVEL_PAGE_DIRECTORY : LEVEL_PAGE_TABLE;
    uint64_t size = 1ul << paging_shift(level);

    if (!source || source->cap.type != CAP_FRAME || frame_is_device(source->cap)
        || !(frame_rights(source->cap) & RIGHT_READ))
        return refuse(call, seL4_InvalidCapability, number);
    if (!slot || slot == source || !is_free_for_frame(slot) || (flags & ~(uint64_t)FLAGS)
        || !paging_is_for_user(root, address, size))
        return refuse(call, seL4_InvalidArgument, number);

    struct cap frame = source->cap;
    uint64_t frame_bytes = 1ul << frame_size_bits(frame);
    if (size > frame_bytes || offset > frame_bytes - size)
        return refuse(call, seL4_RangeError, number);
    if ((address | offset) & (size - 1))
        return refuse(call, seL4_AlignmentError, number);

    slot_delete_one(call->cpu, slot);
    uint64_t *entry = paging_entry(root, address, level, ENTRY_PRESENT, &missing_bits);
    if (!entry)
        return refuse(call, seL4_FailedLookup, number);
    if (*entry & ENTRY_PRESENT)
        return refuse(call, seL4_DeleteFirst, number);

    unsigned rights = frame_rights(frame) & (RIGHT_READ | (flags & BEAML4_MAP_WRITE ? RIGHT_WRITE : 0));
    uint64_t physical = cap_physical(frame) + offset;
    /* What was not present is not remembered (SDM 3A 4.10.4.3). */
    *entry = frame_entry(physical, level, rights, seL4_X86_Default_VMAttributes)
        | (flags & BEAML4_MAP_NO_EXECUTE ? ENTRY_NO_EXECUTE : 0);
    slot_insert(cap_make(CAP_FRAME, physical, FRAME_BITS(level, frame_rights(frame), false, FRAME_IN_VSPACE),
                         MAPPING(mapping_asid(call->cap), address)),
                source, slot);
    return true;
}

static void map_frames(struct invocation *call)
{
    unsigned count = call->length / BEAML4_MAP_WORDS;

    if (count > BEAML4_MAP_FRAMES_MAX) {
        fail_range(call, 0, BEAML4_MAP_FRAMES_MAX);
        return;
    }
    for (unsigned i = 0; i < count; i++)
        if (!map_frame(call, i))
            return;
}

static void unmap_frames(struct invocation *call)
{
    if (call->length > BEAML4_UNMAP_FRAMES_MAX) {
        fail_range(call, 0, BEAML4_UNMAP_FRAMES_MAX);
        return;
    }
    for (unsigned i = 0; i < call->length; i++) {
        struct slot *slot = find(call, argument(call, i));

        if (!slot || !is_free_for_frame(slot)) {
            refuse(call, seL4_InvalidCapability, i);
            return;
        }
        slot_delete_one(call->cpu, slot);
    }
}

void vspace_root_invoke(struct invocation *call)
{
    switch (call->label) {
    case BEAML4_VSpaceOpenHighHalf:
    case BEAML4_VSpaceMapFrames:
    case BEAML4_VSpaceUnmapFrames:
        break;
    default:
        fail(call, seL4_IllegalOperation);
        return;
    }
    if (!vspace_is_root(call->cap)) {
        fail_capability(call, 0);
        return;
    }
    if (!asid_check_root(call, call->cap))
        return;
    if (call->label == BEAML4_VSpaceOpenHighHalf)
        paging_open(cap_physical(call->cap));
    else if (call->label == BEAML4_VSpaceMapFrames)
        map_frames(call);
    else
        unmap_frames(call);
}
