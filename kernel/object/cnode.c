/* seL4 reference manual, chapter 3 (capability spaces). */
#include <object/cnode.h>

#include <api/ipc.h>
#include <core/lookup.h>
#include <object/derive.h>
#include <object/finalise.h>

struct slot *cnode_slot(struct invocation *call, struct cap root, uint64_t index, uint64_t depth, bool source)
{
    struct lookup_failure failure;

    if (root.type == CAP_CNODE && (depth < 1 || depth > seL4_WordBits)) {
        fail_range(call, 1, seL4_WordBits);
        return NULL;
    }

    struct slot *slot = lookup_target(root, index, depth, &failure);
    if (!slot)
        fail_lookup(call, source, &failure);
    return slot;
}

static bool require_empty(struct invocation *call, const struct slot *slot)
{
    if (slot->cap.type != CAP_NULL) {
        fail(call, seL4_DeleteFirst);
        return false;
    }
    return true;
}

static bool require_full(struct invocation *call, const struct slot *slot, uint64_t depth, bool source)
{
    struct lookup_failure failure = { .type = seL4_MissingCapability, .bits_left = (uint8_t)depth };

    if (slot->cap.type == CAP_NULL) {
        fail_lookup(call, source, &failure);
        return false;
    }
    return true;
}

struct slot *cnode_empty_slot(struct invocation *call, struct cap root, uint64_t index, uint64_t depth)
{
    struct slot *slot = cnode_slot(call, root, index, depth, false);

    return slot && require_empty(call, slot) ? slot : NULL;
}

/* Copy, Mint, Move, Mutate. */
static void transfer(struct invocation *call, struct slot *to)
{
    static const unsigned needed[] = {
        [CNodeCopy - CNodeCopy] = 5,
        [CNodeMint - CNodeCopy] = 6,
        [CNodeMove - CNodeCopy] = 4,
        [CNodeMutate - CNodeCopy] = 5,
    };
    bool moves = call->label == CNodeMove || call->label == CNodeMutate;
    struct cap cap;

    if (call->length < 4 || !has_extra(call, 1)) {
        fail(call, seL4_TruncatedMessage);
        return;
    }

    uint64_t index = argument(call, 2), depth = argument(call, 3);
    if (!require_empty(call, to))
        return;
    struct slot *from = cnode_slot(call, call->extra[0]->cap, index, depth, true);
    if (!from || !require_full(call, from, depth, true))
        return;
    if (call->length < needed[call->label - CNodeCopy]) {
        fail(call, seL4_TruncatedMessage);
        return;
    }

    switch (call->label) {
    case CNodeCopy:
        if (!cap_derive(call, from, cap_mask_rights(from->cap, (unsigned)argument(call, 4) & RIGHTS_ALL), &cap))
            return;
        break;
    case CNodeMint:
        cap = cap_mask_rights(from->cap, (unsigned)argument(call, 4) & RIGHTS_ALL);
        if (!cap_derive(call, from, cap_update_data(false, argument(call, 5), cap), &cap))
            return;
        break;
    case CNodeMutate:
        cap = cap_update_data(true, argument(call, 4), from->cap);
        break;
    default:
        cap = from->cap;
        break;
    }
    if (cap.type == CAP_NULL) {
        fail(call, seL4_IllegalOperation);
        return;
    }
    if (moves)
        slot_move(cap, from, to);
    else
        slot_insert(cap, from, to);
}

static void rotate(struct invocation *call, struct slot *to)
{
    if (call->length < 8 || !has_extra(call, 2)) {
        fail(call, seL4_TruncatedMessage);
        return;
    }

    uint64_t pivot_data = argument(call, 2), pivot_depth = argument(call, 4);
    uint64_t from_data = argument(call, 5), from_depth = argument(call, 7);
    struct slot *from = cnode_slot(call, call->extra[1]->cap, argument(call, 6), from_depth, true);
    if (!from)
        return;
    struct slot *pivot = cnode_slot(call, call->extra[0]->cap, argument(call, 3), pivot_depth, true);
    if (!pivot)
        return;

    if (pivot == from || pivot == to) {
        fail(call, seL4_IllegalOperation);
        return;
    }
    if (from != to && !require_empty(call, to))
        return;
    if (!require_full(call, from, from_depth, true) || !require_full(call, pivot, pivot_depth, false))
        return;

    struct cap from_cap = cap_update_data(true, from_data, from->cap);
    struct cap pivot_cap = cap_update_data(true, pivot_data, pivot->cap);
    if (from_cap.type == CAP_NULL || pivot_cap.type == CAP_NULL) {
        fail(call, seL4_IllegalOperation);
        return;
    }
    if (from == to) {
        slot_swap(from_cap, from, pivot_cap, pivot);
    } else {
        slot_move(pivot_cap, pivot, to);
        slot_move(from_cap, from, pivot);
    }
}

static void save_caller(struct invocation *call, struct slot *to)
{
    struct slot *from = &call->caller->slots[TCB_CALLER];

    if (!require_empty(call, to))
        return;
    if (from->cap.type == CAP_REPLY && !reply_is_master(from->cap))
        slot_move(from->cap, from, to);
}

static void cancel_badged_sends(struct invocation *call, struct slot *slot)
{
    struct cap cap = slot->cap;

    if (cap.type != CAP_ENDPOINT || cap_rights(cap) != RIGHTS_ALL) {
        fail(call, seL4_IllegalOperation);
        return;
    }
    if (cap.data != 0 && !endpoint_cancel_badged(call->cpu, cap_object(cap), cap.data))
        preempted(call);
}

void cnode_invoke(struct invocation *call)
{
    if (call->label < CNodeRevoke || call->label > CNodeSaveCaller) {
        fail(call, seL4_IllegalOperation);
        return;
    }
    if (call->length < 2) {
        fail(call, seL4_TruncatedMessage);
        return;
    }

    struct slot *slot = cnode_slot(call, call->cap, argument(call, 0), argument(call, 1), false);
    if (!slot)
        return;
    switch (call->label) {
    case CNodeRevoke:
        if (!slot_revoke(call->cpu, slot))
            preempted(call);
        break;
    case CNodeDelete:
        if (!slot_delete(call->cpu, slot))
            preempted(call);
        break;
    case CNodeCancelBadgedSends:
        cancel_badged_sends(call, slot);
        break;
    case CNodeRotate:
        rotate(call, slot);
        break;
    case CNodeSaveCaller:
        save_caller(call, slot);
        break;
    default:
        transfer(call, slot);
        break;
    }
}
