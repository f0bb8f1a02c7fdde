/* Random histories of making, copying, moving and deleting capabilities, in the root CNode and in CNodes two deep that
 * hold each other, themselves and the memory they are made of. */
#include "tests/kernel/history.h"

#define SLOTS     16u
#define NODE_BITS 2u
#define STEPS     400u

/* A slot, named as CNode operations do. */
struct place {
    seL4_CPtr root;
    seL4_Word index;
    seL4_Uint8 depth;
};

struct run {
    struct env *e;
    struct history history;
    seL4_CPtr first, spare;
};

static bool same_type(seL4_CPtr a, seL4_CPtr b)
{
    return seL4_DebugCapIdentify(a) == seL4_DebugCapIdentify(b);
}

static seL4_CPtr any_slot(struct run *r)
{
    return r->first + draw(&r->history, SLOTS);
}

/* A slot with a capability of the type of LIKE, if there is one. */
static seL4_CPtr any_like(struct run *r, seL4_CPtr like)
{
    unsigned start = draw(&r->history, SLOTS);

    for (unsigned i = 0; i < SLOTS; i++) {
        seL4_CPtr slot = r->first + (start + i) % SLOTS;
        if (same_type(slot, like))
            return slot;
    }
    return r->first + start;
}

static struct place any_place(struct run *r)
{
    unsigned kind = draw(&r->history, 12);

    if (kind < 8)
        return (struct place) { ROOT, any_slot(r), ROOT_DEPTH };
    seL4_CPtr node = any_slot(r);
    unsigned depth = kind < 11 ? NODE_BITS : 2 * NODE_BITS;
    return (struct place) { node, draw(&r->history, 1u << depth), (seL4_Uint8)depth };
}

/* One that can be invoked: a call to an endpoint would wait forever. */
static struct place any_target(struct run *r)
{
    struct place place = any_place(r);

    if (same_type(place.root, ROOT))
        return place;
    return (struct place) { ROOT, any_slot(r), ROOT_DEPTH };
}

static seL4_Error retype(struct run *r)
{
    static const seL4_Word types[] = {
        seL4_UntypedObject, seL4_UntypedObject, seL4_EndpointObject, seL4_NotificationObject, seL4_CapTableObject,
        seL4_CapTableObject, seL4_TCBObject, seL4_X86_4K,
    };
    seL4_CPtr memory = any_like(r, r->e->untyped), node = any_like(r, ROOT);
    seL4_Word type = types[draw(&r->history, 8)];
    seL4_Word size = type == seL4_CapTableObject ? NODE_BITS : 4 + draw(&r->history, 9);
    bool into_root = draw(&r->history, 2) || !same_type(node, ROOT);
    seL4_Word offset = into_root ? any_slot(r) : draw(&r->history, 1u << NODE_BITS);
    seL4_Word room = into_root ? r->first + SLOTS - offset : 3, count = 1 + draw(&r->history, 3);

    if (!same_type(memory, r->e->untyped))
        return seL4_NoError;
    return seL4_Untyped_Retype(memory, type, size, into_root ? ROOT : node, 0, 0, offset, count < room ? count : room);
}

static seL4_Error give_cspace(struct run *r)
{
    seL4_CPtr tcb = any_like(r, seL4_CapInitThreadTCB), node = any_like(r, ROOT);

    if (!same_type(tcb, seL4_CapInitThreadTCB))
        return seL4_NoError;
    return seL4_TCB_SetSpace(tcb, 0, node, 0, seL4_CapInitThreadVSpace, 0);
}

static seL4_Error step(struct run *r)
{
    struct place to = any_target(r), from = any_place(r), pivot = any_place(r);
    seL4_CapRights_t rights = { { draw(&r->history, 16) } };
    seL4_Word data = draw(&r->history, 4);

    switch (draw(&r->history, 14)) {
    case 0:
    case 1:
    case 2:
    case 3:
        return retype(r);
    case 4:
    case 5:
        return seL4_CNode_Copy(to.root, to.index, to.depth, from.root, from.index, from.depth, rights);
    case 6:
    case 7:
        return seL4_CNode_Mint(to.root, to.index, to.depth, from.root, from.index, from.depth, rights, data);
    case 8:
        return seL4_CNode_Move(to.root, to.index, to.depth, from.root, from.index, from.depth);
    case 9:
        return seL4_CNode_Mutate(to.root, to.index, to.depth, from.root, from.index, from.depth, data);
    case 10:
        return seL4_CNode_Rotate(to.root, to.index, to.depth, data, pivot.root, pivot.index, pivot.depth, 0, from.root,
                                 from.index, from.depth);
    case 11:
        return seL4_CNode_Delete(to.root, to.index, to.depth);
    case 12:
        return seL4_CNode_Revoke(to.root, to.index, to.depth);
    default:
        return give_cspace(r);
    }
}

/* Which slots are empty, and which of those in CNodes cannot be copied. */
static void look_at_everything(struct run *r)
{
    for (seL4_CPtr slot = r->first; slot < r->first + SLOTS; slot++) {
        note_value(&r->history, slot_is_empty(slot));
        for (unsigned i = 0; same_type(slot, ROOT) && i < 1u << NODE_BITS; i++) {
            note_answer(&r->history, seL4_CNode_Copy(ROOT, r->spare, ROOT_DEPTH, slot, i, NODE_BITS, seL4_AllRights));
            seL4_CNode_Delete(ROOT, r->spare, ROOT_DEPTH);
        }
    }
}

static void live_through(struct env *e, uint64_t seed, uint64_t sum)
{
    struct run r = { .e = e, .history = history(seed), .first = new_slots(e, SLOTS), .spare = new_slot(e) };

    for (unsigned i = 0; i < STEPS; i++) {
        if (i % 4 == 0) {
            seL4_CPtr slot = any_slot(&r);
            seL4_Word bits = 12 + draw(&r.history, 2);
            note_answer(&r.history, seL4_Untyped_Retype(e->untyped, seL4_UntypedObject, bits, ROOT, 0, 0, slot, 1));
        }
        if (draw(&r.history, 3) == 0)
            note_answer(&r.history, seL4_CNode_Delete(ROOT, any_slot(&r), ROOT_DEPTH));
        note_answer(&r.history, step(&r));
        if (i % 10 == 0)
            look_at_everything(&r);
    }
    EXPECT_EQ(r.history.sum, sum);
}

TEST(first_random_history_of_capabilities_is_that_of_upstream)
{
    live_through(e, 1, 0x02409c47b68abe0e);
}

TEST(second_random_history_of_capabilities_is_that_of_upstream)
{
    live_through(e, 2, 0xc51f658ca58cbc3b);
}

TEST(third_random_history_of_capabilities_is_that_of_upstream)
{
    live_through(e, 3, 0x9353a87c109ecc0e);
}
