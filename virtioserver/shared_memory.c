#include "virtioserver/shared_memory.h"

#define SLOT_DEPTH 32u /* in SLOT_STATIC_CNODE */

void shared_memory_init(struct shared_memory *shared, const struct startup *startup)
{
    *shared = (struct shared_memory) {
        .bytes = startup->virtio.memory_bytes,
        .page_bytes = UINT64_C(1) << (startup->virtio.pages == VM_PAGES_SMALL ? seL4_PageBits : seL4_LargePageBits),
        .next_slot = SLOT_VIRTIO_FRAME,
    };
    seL4_SetCapReceivePath(SLOT_STATIC_CNODE, shared->next_slot, SLOT_DEPTH);
}

bool shared_memory_is_complete(const struct shared_memory *shared)
{
    return shared->mapped == shared->bytes;
}

void shared_memory_refuse(const struct shared_memory *shared)
{
    seL4_CNode_Delete(SLOT_STATIC_CNODE, shared->next_slot, SLOT_DEPTH);
}

static void complete(struct shared_memory *shared)
{
    uint64_t low = shared->bytes < GUEST_LOW_RAM_BYTES ? shared->bytes : GUEST_LOW_RAM_BYTES;
    uint64_t high = shared->bytes - low;

    shared->memory = (struct guest_memory) {
        .count = high ? 2 : 1,
        .region[0] = { .start = 0, .length = low, .host = (uint8_t *)GUEST_RAM_BASE },
        .region[1] = { .start = GUEST_HIGH_RAM_START, .length = high,
                       .host = (uint8_t *)GUEST_RAM_BASE + GUEST_HIGH_RAM_START },
    };
}

bool shared_memory_add(struct shared_memory *shared)
{
    if (shared_memory_is_complete(shared)) {
        shared_memory_refuse(shared);
        return false;
    }
    uint64_t done = shared->mapped;
    uint64_t address = done < GUEST_LOW_RAM_BYTES ? done : GUEST_HIGH_RAM_START + (done - GUEST_LOW_RAM_BYTES);

    /* A frame of another size does not fit the tables that init has made, and nothing but a frame can be mapped. */
    if (seL4_X86_Page_Map(shared->next_slot, SLOT_VSPACE, GUEST_RAM_BASE + address, seL4_ReadWrite,
                          seL4_X86_WriteBack) != seL4_NoError) {
        shared_memory_refuse(shared);
        return false;
    }
    shared->mapped += shared->page_bytes;
    seL4_SetCapReceivePath(SLOT_STATIC_CNODE, ++shared->next_slot, SLOT_DEPTH);
    if (shared_memory_is_complete(shared))
        complete(shared);
    return true;
}
