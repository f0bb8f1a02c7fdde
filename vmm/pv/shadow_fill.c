/* The guest's access made a page fault: what of it is the guest's own, and what is just not there yet. */
#include "algorithms/vcpu.h"
#include "vmm/pv/shadow_parts.h"

/* A table that has been written so often without having been used is none any more, or is not worth following write by
 * write: what was derived from it goes, and it can be written until it is used again. The second limit is for one
 * that was given up before and came back. */
#define FLOOD_WRITES       4u
#define FLOOD_WRITES_AGAIN 128u

/* So many tables of ours are looked at that an entry of the guest's may be wanted in. */
#define REFILLS_MAX 8u

/* An instruction's bytes reach at most this far. */
#define INSTRUCTION_REACH 14u

struct fill {
    const struct shadow_state *state;
    struct shadow_paging paging;
    enum shadow_access access;
    uint64_t address;
    struct shadow_walk walk;
    uint32_t frame; /* that was accessed */
    uint16_t root;
};

static bool is_near(uint64_t address, uint64_t rip)
{
    return address >> 12 == rip >> 12 || address == ((rip + INSTRUCTION_REACH) & ~UINT64_C(4095));
}

/* Without no-execute mappings the processor does not tell fetches from reads. */
static enum shadow_access access_of(const struct shadow *shadow, const struct shadow_state *state, uint64_t address,
                                    uint32_t error)
{
    if (error & ERROR_WRITE)
        return SHADOW_WRITES;
    if (error & ERROR_FETCH)
        return SHADOW_FETCHES;
    return !shadow->no_execute && is_near(address, state->rip) ? SHADOW_FETCHES : SHADOW_READS;
}

static uint64_t reserved_bits(const struct shadow *shadow)
{
    return shadow->reserved | (shadow->guest_no_execute ? 0 : ENTRY_NO_EXECUTE);
}

static struct shadow_paging paging_of(const struct shadow *shadow, const struct shadow_state *state)
{
    return (struct shadow_paging) {
        .root = shadow->cr3,
        .reserved = reserved_bits(shadow),
        .write_protect = shadow->write_protect,
        .no_execute = shadow->guest_no_execute,
        .user = state->user,
    };
}

static bool is_reachable(const struct shadow *shadow, uint64_t address)
{
    return shadow->unreachable_first > shadow->unreachable_last || address < shadow->unreachable_first ||
           address > shadow->unreachable_last;
}

/* The frame is the one that the instruction itself is in, so that it could never be executed and written at once. */
static bool is_own_page(const struct shadow *shadow, const struct fill *fill)
{
    for (unsigned i = 0; i < 2; i++) {
        uint16_t number = shadow_find_page(shadow, fill->root, fill->state->rip + i * INSTRUCTION_REACH);
        const struct shadow_page *page = &shadow->page[number];

        if (number != SHADOW_NONE && !(page->flags & SHADOW_LARGE) && page->frame == fill->frame)
            return true;
    }
    return false;
}

/* How a page of that meaning can be mapped now. */
static unsigned flags_for(const struct shadow *shadow, uint32_t frame, bool user, uint64_t meaning, bool dirty)
{
    unsigned state = shadow->frame[frame].flags, flags = 0;
    bool unprotected = !(meaning & ENTRY_WRITE) && !user && !shadow->write_protect;

    if (((meaning & ENTRY_WRITE) || unprotected) && dirty && !shadow_is_tracked(shadow, frame) && !(state & FRAME_CODE))
        flags |= SHADOW_WRITE | (unprotected ? PAGE_UNPROTECTED : 0);
    if ((meaning & ENTRY_NO_EXECUTE) || !(user || (state & (FRAME_CODE | FRAME_OPEN))))
        flags |= SHADOW_NO_EXECUTE;
    return flags;
}

/* What an entry of LEVEL stands for, at the address that was accessed; inside a large page it is a part of that. */
static uint64_t meaning_at(const struct shadow_walk *walk, unsigned level)
{
    if (level >= walk->leaf)
        return walk->meaning[level];
    return (walk->meaning[walk->leaf] & ~ENTRY_ADDRESS) |
           (walk->physical & ENTRY_ADDRESS & ~((UINT64_C(1) << shadow_shift(level)) - 1));
}

/* Whether the page could be mapped large. Where small ones of it are there already it stays with them. */
static bool could_be_large(const struct shadow *shadow, const struct fill *fill)
{
    uint16_t table = fill->root;

    if (fill->walk.leaf == 0 || !shadow->operations->is_large || !shadow_whole_block(shadow, fill->walk.physical))
        return false;
    for (unsigned level = SHADOW_ROOT; level >= 1; level--) {
        uint16_t child = shadow->table[table].child[shadow_index(fill->address, level)];

        if (child == SHADOW_NONE || !(child & CHILD_TABLE))
            break;
        table = child & (uint16_t)~CHILD_TABLE;
        if (shadow->table[table].meaning != meaning_at(&fill->walk, level))
            break;
        if (level == 1)
            return false;
    }
    return shadow->operations->is_large(shadow->context, fill->walk.physical & ~(BLOCK_BYTES - 1));
}

/* A table below TABLE, of the level below that. */
static uint16_t add_table(struct shadow *shadow, const struct fill *fill, uint16_t table)
{
    unsigned level = shadow->table[table].level, index = shadow_index(fill->address, level);
    uint16_t added = shadow_take_table(shadow, level - 1);

    if (added == SHADOW_NONE)
        return SHADOW_NONE;
    uint64_t covered = fill->address & ~((UINT64_C(1) << shadow_shift(level)) - 1);
    if (!shadow->operations->attach_table(shadow->context, shadow->table[fill->root].handle, level - 1, covered,
                                          shadow->table[added].handle)) {
        shadow_return_table(shadow, added);
        return SHADOW_NONE;
    }
    shadow_insert_table(shadow, added, table, index, meaning_at(&fill->walk, level),
                        level > fill->walk.leaf ? shadow_frame_of(shadow, fill->walk.table[level - 1]) : NO_FRAME);
    return added;
}

/* The table of level TARGET that has the address, with all above it. One that is there for something else than what the
 * guest's entry says now (which was changed by other means than writes that fault) is given up. */
static uint16_t find_table(struct shadow *shadow, const struct fill *fill, unsigned target)
{
    uint16_t table = fill->root;

    for (unsigned level = SHADOW_ROOT; table != SHADOW_NONE; level--) {
        if (shadow->table[table].source != NO_FRAME)
            shadow->frame[shadow->table[table].source].writes = 0;
        if (level == target)
            break;
        unsigned index = shadow_index(fill->address, level);
        uint16_t child = shadow->table[table].child[index];
        uint16_t below = child & (uint16_t)~CHILD_TABLE;

        if (child != SHADOW_NONE && (child & CHILD_TABLE) &&
            shadow->table[below].meaning == meaning_at(&fill->walk, level)) {
            shadow_use_table(shadow, below);
            table = below;
            continue;
        }
        shadow_drop_child(shadow, table, index);
        table = add_table(shadow, fill, table);
    }
    return table;
}

/* Puts a page into the bookkeeping, and what is to be mapped into MAPPING. */
static void enter_page(struct shadow *shadow, uint16_t page, uint16_t table, unsigned index, uint32_t frame,
                       unsigned flags, struct shadow_mapping *mapping)
{
    const struct shadow_table *parent = &shadow->table[table];

    shadow_insert_page(shadow, page, table, index, frame, flags);
    *mapping = (struct shadow_mapping) {
        .page = page,
        .flags = flags & ~PAGE_UNPROTECTED,
        .address = parent->address + ((uint64_t)index << shadow_shift(parent->level)),
        .physical = shadow_frame_physical(shadow, frame),
    };
}

/* What entry INDEX of a page table stands for, if it has been accessed: then a processor may have it in its TLB. */
static bool accessed_meaning(struct shadow *shadow, const struct shadow_paging *paging,
                             const struct shadow_table *table, unsigned index, uint64_t *meaning, bool *dirty)
{
    const uint64_t *place = NULL;

    if (table->source != NO_FRAME)
        place = guest_memory_at(shadow->memory, shadow_frame_physical(shadow, table->source) + index * 8, 8);
    if (!place)
        return false;
    uint64_t entry = __atomic_load_n(place, __ATOMIC_RELAXED);
    *dirty = entry & ENTRY_DIRTY;
    return (entry & ENTRY_ACCESSED) && shadow_entry_meaning(paging, entry, 0, table->meaning, meaning) &&
           (!paging->user || (*meaning & ENTRY_USER));
}

/* Puts the page at INDEX of a page table into the bookkeeping and MAPPING, if it may be mapped unasked and nothing has
 * to go for it. */
static bool enter_accessed(struct shadow *shadow, const struct shadow_paging *paging, uint16_t table, unsigned index,
                           uint64_t meaning, bool dirty, struct shadow_mapping *mapping)
{
    uint32_t frame = shadow_frame_of(shadow, meaning & ENTRY_ADDRESS);
    uint16_t page;

    if (frame == NO_FRAME || (page = shadow_take_page(shadow, false)) == SHADOW_NONE)
        return false;
    enter_page(shadow, page, table, index, frame, flags_for(shadow, frame, paging->user, meaning, dirty), mapping);
    return true;
}

/* Adds neighbours to what is going to be mapped, as long as nothing has to go for them. */
static unsigned add_neighbours(struct shadow *shadow, const struct fill *fill, uint16_t table, unsigned index,
                               struct shadow_mapping *mapping, unsigned count)
{
    unsigned first = index & ~(shadow->around - 1);
    bool large = fill->walk.leaf > 0;

    for (unsigned i = first; i < first + shadow->around; i++) {
        uint64_t meaning = (meaning_at(&fill->walk, 1) & ~ENTRY_LARGE) + ((uint64_t)i << 12);
        bool dirty = fill->walk.dirty;

        if (shadow->table[table].child[i] == SHADOW_NONE &&
            (large || accessed_meaning(shadow, &fill->paging, &shadow->table[table], i, &meaning, &dirty)) &&
            enter_accessed(shadow, &fill->paging, table, i, meaning, dirty, &mapping[count])) {
            count++;
            shadow->counts.around++;
        }
    }
    return count;
}

/* Entry INDEX of a page table of the guest's has been written, and what came from it has gone. If it says that the page
 * has been accessed, which guests say beforehand of a page that a fault of theirs has asked for, it is mapped at once
 * in the current address space: in the users' root if they can reach it, else in the kernel's. */
void shadow_refill(struct shadow *shadow, uint32_t frame, unsigned index)
{
    uint16_t list = shadow->frame[frame].tables, table = list;

    for (unsigned i = 0; i < REFILLS_MAX && table != SHADOW_NONE; i++) {
        const struct shadow_table *here = &shadow->table[table], *root = &shadow->table[here->root];
        const struct shadow_paging paging = {
            .reserved = reserved_bits(shadow), .no_execute = shadow->guest_no_execute, .user = root->user,
        };
        struct shadow_mapping mapping;
        uint64_t meaning;
        bool dirty;

        if (here->level == 0 && here->child[index] == SHADOW_NONE && root->address == shadow->cr3 &&
            accessed_meaning(shadow, &paging, here, index, &meaning, &dirty) &&
            !(meaning & ENTRY_USER) == !root->user &&
            enter_accessed(shadow, &paging, table, index, meaning, dirty, &mapping)) {
            if (shadow->operations->map(shadow->context, root->handle, &mapping, 1) == 0)
                shadow_drop_page(shadow, (uint16_t)mapping.page);
            shadow->counts.ahead++;
            shadow->frame[frame].writes = 0; /* it is used */
        }
        table = shadow_list_next(list, shadow->table_same, table);
    }
}

/* The caller could not map anything: others go, oldest first, and the guest tries again. */
static enum shadow_result make_room(struct shadow *shadow)
{
    if (shadow->page_pool.used == SHADOW_NONE)
        return SHADOW_NO_MEMORY;
    for (unsigned i = 0; i < SHADOW_UNMAP_MAX && shadow->page_pool.used != SHADOW_NONE; i++) {
        shadow_drop_page(shadow, shadow->page_pool.used);
        shadow->counts.evicted_pages++;
    }
    return SHADOW_DONE;
}

/* Maps the page at INDEX of TABLE, which replaces what is there, and perhaps some around it. */
static enum shadow_result map_page(struct shadow *shadow, const struct fill *fill, uint16_t table, bool large)
{
    unsigned index = shadow_index(fill->address, large ? 1 : 0);
    uint32_t frame = large ? shadow_frame_of(shadow, fill->walk.physical & ~(BLOCK_BYTES - 1)) : fill->frame;
    uint64_t meaning = fill->walk.meaning[fill->walk.leaf];
    unsigned flags = flags_for(shadow, frame, fill->paging.user, meaning, fill->walk.dirty);
    struct shadow_mapping mapping[SHADOW_MAP_MAX];

    flags |= large ? SHADOW_LARGE : 0;
    uint16_t page = shadow->table[table].child[index];

    if (page != SHADOW_NONE && !(page & CHILD_TABLE) && shadow->page[page].frame == frame) {
        shadow_remove_mapping(shadow, page); /* with other flags */
        shadow_use_page(shadow, page);
        shadow->page[page].flags = (uint8_t)flags;
        shadow_add_mapping(shadow, page);
        mapping[0] = (struct shadow_mapping) {
            .page = page,
            .flags = flags & ~PAGE_UNPROTECTED,
            .address = fill->address & ~((UINT64_C(1) << shadow_shift(large ? 1 : 0)) - 1),
            .physical = shadow_frame_physical(shadow, frame),
        };
    } else {
        shadow_drop_child(shadow, table, index);
        page = shadow_take_page(shadow, true);
        if (page == SHADOW_NONE)
            return SHADOW_NO_MEMORY;
        enter_page(shadow, page, table, index, frame, flags, &mapping[0]);
    }
    unsigned count = large ? 1 : add_neighbours(shadow, fill, table, index, mapping, 1);
    shadow_settle(shadow);
    unsigned mapped =
        shadow->operations->map(shadow->context, shadow->table[fill->root].handle, mapping, count);
    for (unsigned i = mapped; i < count; i++)
        shadow_drop_page(shadow, (uint16_t)mapping[i].page);
    shadow->counts.filled += mapped > 0;
    return mapped > 0 ? SHADOW_DONE : make_room(shadow);
}

/* A write to a table in use: whether it has been written so often that it is given up. */
static bool is_flooded(struct shadow *shadow, uint32_t frame)
{
    struct shadow_frame *here = &shadow->frame[frame];

    if (frame == shadow_frame_of(shadow, shadow->cr3))
        return false;
    if (here->writes < UINT8_MAX)
        here->writes++;
    if (here->writes <= (here->flags & FRAME_FLOODED ? FLOOD_WRITES_AGAIN : FLOOD_WRITES))
        return false;
    here->writes = 0;
    here->flags |= FRAME_FLOODED;
    shadow->counts.released++;
    shadow_drop_derived(shadow, frame);
    return true;
}

static enum shadow_result fill_page(struct shadow *shadow, struct fill *fill)
{
    bool writes = fill->access == SHADOW_WRITES, user = fill->paging.user;

    if (fill->access == SHADOW_FETCHES && !user && !(shadow->frame[fill->frame].flags & (FRAME_CODE | FRAME_OPEN)))
        return SHADOW_EXECUTE;
    if (writes && shadow_is_tracked(shadow, fill->frame) && !is_flooded(shadow, fill->frame))
        return SHADOW_WRITE_TABLE;
    fill->root = shadow_root(shadow, shadow->cr3, user);
    if (fill->root == SHADOW_NONE)
        return SHADOW_NO_MEMORY;
    if (writes && (shadow->frame[fill->frame].flags & FRAME_CODE)) {
        if (!user && is_own_page(shadow, fill))
            return SHADOW_WRITE_CODE;
        shadow_make_data(shadow, fill->frame);
    }
    bool large = could_be_large(shadow, fill);
    uint16_t table = find_table(shadow, fill, large ? 1 : 0);
    if (table == SHADOW_NONE)
        return SHADOW_NO_MEMORY;
    /* The tables on the way may be what is written. */
    if (writes && shadow_is_tracked(shadow, fill->frame))
        return SHADOW_WRITE_TABLE;
    /* No large page with tables, as those on the way may be, or code in it. */
    if (large && shadow_whole_block(shadow, fill->walk.physical)->restricted > 0) {
        large = false;
        table = find_table(shadow, fill, 0);
        if (table == SHADOW_NONE)
            return SHADOW_NO_MEMORY;
    }
    return map_page(shadow, fill, table, large);
}

enum shadow_result shadow_fault(struct shadow *shadow, const struct shadow_state *state, uint64_t address,
                                uint32_t error, struct shadow_answer *answer)
{
    struct fill fill = { .state = state, .address = address };

    shadow->counts.faults++;
    shadow_notice(shadow, state);
    fill.paging = paging_of(shadow, state);
    fill.access = access_of(shadow, state, address, error);
    enum shadow_result result = SHADOW_DONE;
    switch (shadow_walk(shadow->memory, &fill.paging, address, fill.access, &fill.walk, &answer->error)) {
    case SHADOW_WALK_FAULT:
        result = SHADOW_PAGE_FAULT;
        break;
    case SHADOW_WALK_CHANGED: /* the guest tries again */
        break;
    case SHADOW_WALKED:
        answer->physical = fill.walk.physical;
        fill.frame = shadow_frame_of(shadow, fill.walk.physical);
        if (fill.frame == NO_FRAME)
            result = SHADOW_DEVICE;
        else if (!is_reachable(shadow, address))
            result = SHADOW_UNREACHABLE;
        else
            result = fill_page(shadow, &fill);
        break;
    }
    shadow->counts.table_writes += result == SHADOW_WRITE_TABLE;
    shadow_settle(shadow);
    return result;
}
