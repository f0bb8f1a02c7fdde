/* Random histories of mapping, unmapping, copying and deleting frames, paging structures and roots, with a look at what can
 * be reached after each step. */
#include "tests/kernel/history.h"
#include "tests/kernel/spaces.h"

#define VSPACES 2u
#define SLOTS   48u
#define STEPS   500u
#define LARGE   (1ul << seL4_LargePageBits)

struct run {
    struct env *e;
    struct history history;
    seL4_CPtr memory, first;
    seL4_CPtr vspace[VSPACES]; /* ours, and another one */
    struct prober prober[VSPACES];
};

/* Few addresses, of which some share structures and others do not. */
static seL4_Word address(unsigned n)
{
    return WINDOW + (n & 1) * (1ul << seL4_PageBits) + (n >> 1) * LARGE;
}
#define ADDRESSES 5u

static seL4_CPtr any_slot(struct run *r)
{
    return r->first + draw(&r->history, SLOTS);
}

/* One with a capability in it, if there is one. */
static seL4_CPtr any_full_slot(struct run *r)
{
    unsigned start = draw(&r->history, SLOTS);

    for (unsigned i = 0; i < SLOTS; i++)
        if (!slot_is_empty(r->first + (start + i) % SLOTS))
            return r->first + (start + i) % SLOTS;
    return r->first + start;
}

static seL4_CPtr any_vspace(struct run *r)
{
    return r->vspace[draw(&r->history, VSPACES)];
}

/* Whatever is in the slot is asked to be mapped as everything that it might be; upstream knows what it is. */
static void map(struct run *r)
{
    seL4_CPtr slot = any_full_slot(r), vspace = any_vspace(r);
    seL4_Word at = address(draw(&r->history, ADDRESSES));
    seL4_CapRights_t rights = { { draw(&r->history, 4) == 0 ? draw(&r->history, 4) : 3 } };

    note_answer(&r->history, seL4_X86_Page_Map(slot, vspace, at, rights, seL4_X86_Default_VMAttributes));
    note_answer(&r->history, seL4_X86_PageTable_Map(slot, vspace, at, seL4_X86_Default_VMAttributes));
    note_answer(&r->history, seL4_X86_PageDirectory_Map(slot, vspace, at, seL4_X86_Default_VMAttributes));
    note_answer(&r->history, seL4_X86_PDPT_Map(slot, vspace, at, seL4_X86_Default_VMAttributes));
}

static void unmap(struct run *r)
{
    seL4_CPtr slot = any_full_slot(r);

    note_answer(&r->history, seL4_X86_Page_Unmap(slot));
    if (draw(&r->history, 4))
        return;
    note_answer(&r->history, seL4_X86_PageTable_Unmap(slot));
    note_answer(&r->history, seL4_X86_PageDirectory_Unmap(slot));
    note_answer(&r->history, seL4_X86_PDPT_Unmap(slot));
}

static void make(struct run *r)
{
    static const seL4_Word types[] = {
        seL4_X86_4K, seL4_X86_4K, seL4_X86_LargePageObject, seL4_X86_PageTableObject,
        seL4_X86_PageTableObject, seL4_X86_PageDirectoryObject, seL4_X86_PageDirectoryObject, seL4_X86_PDPTObject,
    };

    seL4_CPtr slot = any_slot(r);
    seL4_Word type = types[draw(&r->history, 8)];
    note_answer(&r->history, seL4_Untyped_Retype(r->memory, type, 0, ROOT, 0, 0, slot, 1));
}

static void step(struct run *r)
{
    seL4_CPtr a = any_slot(r), b = any_full_slot(r);
    seL4_CapRights_t rights = { { draw(&r->history, 8) ? 3 : 2 } };

    switch (draw(&r->history, 20)) {
    case 0:
    case 1:
    case 2:
        make(r);
        break;
    case 3:
        unmap(r);
        break;
    case 4:
    case 5:
        note_answer(&r->history, seL4_CNode_Copy(ROOT, a, ROOT_DEPTH, ROOT, b, ROOT_DEPTH, rights));
        break;
    case 6:
        note_answer(&r->history, seL4_CNode_Delete(ROOT, draw(&r->history, 4) ? a : b, ROOT_DEPTH));
        break;
    case 7:
        note_answer(&r->history, seL4_CNode_Revoke(ROOT, a, ROOT_DEPTH));
        break;
    case 8:
        note_answer(&r->history, seL4_CNode_Move(ROOT, a, ROOT_DEPTH, ROOT, b, ROOT_DEPTH));
        break;
    default:
        map(r);
        break;
    }
}

static void look_at_everything(struct run *r)
{
    struct env *e = r->e;

    for (unsigned v = 0; v < VSPACES; v++)
        for (unsigned n = 0; n < ADDRESSES; n++) {
            bool readable = can(e, &r->prober[v], PROBE_READ, address(n) + 8 * v);

            note_value(&r->history, readable ? r->prober[v].value : r->prober[v].fault_status);
            if (n % 3 == 0)
                note_value(&r->history, can(e, &r->prober[v], PROBE_WRITE, address(n) + 8 * (n & 1)));
        }
}

static void live_through(struct env *e, uint64_t seed, uint64_t sum)
{
    struct run r = {
        .e = e, .history = history(seed), .memory = new_untyped(e, 25), .first = new_slots(e, SLOTS),
        .vspace = { seL4_CapInitThreadVSpace, new_vspace(e) }, .prober = { new_prober(e), new_prober(e) },
    };

    map_image(e, r.vspace[1]);
    EXPECT_OK(seL4_TCB_SetSpace(r.prober[1].thread->tcb, r.prober[1].endpoint, ROOT, 0, r.vspace[1], 0));
    for (unsigned i = 0; i < STEPS; i++) {
        step(&r);
        if (i % 3 == 0)
            look_at_everything(&r);
    }
    EXPECT_EQ(r.history.sum, sum);
}

TEST(first_random_history_of_mappings_is_that_of_upstream)
{
    live_through(e, 1, 0x5901924e3833714d);
}

TEST(second_random_history_of_mappings_is_that_of_upstream)
{
    live_through(e, 3, 0x57aa5ad5e354c764);
}
