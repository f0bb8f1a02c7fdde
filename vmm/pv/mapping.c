#include "vmm/pv/mapping.h"

#include <sel4/beaml4.h>
#include <sel4/sel4.h>

#define FRAME_BYTES (UINT64_C(1) << seL4_LargePageBits)
#define WORDS_EACH  4u

_Static_assert(SHADOW_WRITE == BEAML4_MAP_WRITE && SHADOW_NO_EXECUTE == BEAML4_MAP_NO_EXECUTE &&
               SHADOW_LARGE == BEAML4_MAP_LARGE, "the flags are the kernel's");
_Static_assert(SHADOW_MAP_MAX <= BEAML4_MAP_FRAMES_MAX && SHADOW_UNMAP_MAX <= BEAML4_UNMAP_FRAMES_MAX,
               "one call does it");

bool mapping_init(struct mapping *mapping, const struct mapping_source *source)
{
    const struct shadow_limits *limits = &source->limits;
    /* One root more: the empty one. */
    const unsigned room[] = { limits->tables, limits->directories, limits->pdpts, limits->roots + 1 };
    unsigned next = 0;

    *mapping = (struct mapping) { .source = *source };
    for (unsigned i = 0; i < sizeof room / sizeof room[0]; i++) {
        if (room[i] > MAPPING_TABLE_SLOTS - next)
            return false;
        mapping->pool[i].first = next;
        next += room[i];
    }
    return true;
}

static uint64_t slot_of(const struct mapping *mapping, unsigned kind, unsigned number)
{
    return mapping->source.table_slot + mapping->pool[kind].first + number;
}

static bool make(struct mapping *mapping, unsigned kind, unsigned *number)
{
    static const seL4_Word types[] = {
        seL4_X86_PageTableObject, seL4_X86_PageDirectoryObject, seL4_X86_PDPTObject, seL4_X64_PML4Object,
    };
    unsigned count = mapping->pool[kind].count;

    if (!mapping->source.make(mapping->source.context, types[kind], slot_of(mapping, kind, count)))
        return false;
    mapping->pool[kind].count++;
    *number = count;
    return true;
}

static bool make_root(void *context, unsigned *root)
{
    struct mapping *mapping = context;

    if (!make(mapping, MAPPING_ROOTS, root))
        return false;
    uint64_t capability = mapping_root(mapping, *root);
    return seL4_X86_ASIDPool_Assign(mapping->source.asid_pool, capability) == seL4_NoError &&
           (!mapping->source.high_half || sel4_vspace_open_high_half(capability) == seL4_NoError);
}

bool mapping_make_empty(struct mapping *mapping, uint64_t *root)
{
    unsigned number;

    if (!make_root(mapping, &number))
        return false;
    *root = mapping_root(mapping, number);
    return true;
}

uint64_t mapping_root(const struct mapping *mapping, unsigned root)
{
    return slot_of(mapping, MAPPING_ROOTS, root);
}

static bool make_table(void *context, unsigned level, unsigned *table)
{
    return make(context, level, table);
}

/* The tables that were in it have been taken out one by one. */
static void clear_root(void *context, unsigned root)
{
    (void)context;
    (void)root;
}

static bool attach_table(void *context, unsigned root, unsigned level, uint64_t address, unsigned table)
{
    const struct mapping *mapping = context;
    uint64_t vspace = mapping_root(mapping, root), object = slot_of(mapping, level, table);

    switch (level) {
    case 0:  return seL4_X86_PageTable_Map(object, vspace, address, seL4_X86_WriteBack) == seL4_NoError;
    case 1:  return seL4_X86_PageDirectory_Map(object, vspace, address, seL4_X86_WriteBack) == seL4_NoError;
    default: return seL4_X86_PDPT_Map(object, vspace, address, seL4_X86_WriteBack) == seL4_NoError;
    }
}

static void detach_table(void *context, unsigned level, unsigned table)
{
    const struct mapping *mapping = context;
    uint64_t object = slot_of(mapping, level, table);

    switch (level) {
    case 0:  seL4_X86_PageTable_Unmap(object); break;
    case 1:  seL4_X86_PageDirectory_Unmap(object); break;
    default: seL4_X86_PDPT_Unmap(object); break;
    }
}

/* The frame that PHYSICAL is in; false: no RAM. */
static bool find_frame(const struct mapping *mapping, uint64_t physical, uint64_t *frame)
{
    const struct guest_memory *memory = mapping->source.memory;
    uint64_t before = 0;

    for (unsigned i = 0; i < memory->count; i++) {
        const struct guest_region *region = &memory->region[i];

        if (physical >= region->start && physical - region->start < region->length) {
            *frame = mapping->source.frame[(before + (physical - region->start)) / FRAME_BYTES];
            return true;
        }
        before += region->length;
    }
    return false;
}

static unsigned map(void *context, unsigned root, const struct shadow_mapping *pages, unsigned count)
{
    struct mapping *mapping = context;
    seL4_Word words[SHADOW_MAP_MAX * WORDS_EACH], done;

    for (unsigned i = 0; i < count; i++) {
        seL4_Word *word = &words[i * WORDS_EACH];

        if (i == SHADOW_MAP_MAX || !find_frame(mapping, pages[i].physical, &word[0])) {
            count = i;
            break;
        }
        word[1] = mapping->source.page_slot + pages[i].page;
        word[2] = pages[i].address | pages[i].flags;
        word[3] = pages[i].physical % FRAME_BYTES;
    }
    mapping->map_calls++;
    if (sel4_vspace_map_frames(mapping_root(mapping, root), count, words, &done) == seL4_NoError)
        done = count;
    mapping->mapped += done;
    return (unsigned)done;
}

static void unmap(void *context, const unsigned *page, unsigned count)
{
    struct mapping *mapping = context;
    seL4_Word slots[SHADOW_UNMAP_MAX];

    if (count > SHADOW_UNMAP_MAX)
        count = SHADOW_UNMAP_MAX;
    for (unsigned i = 0; i < count; i++)
        slots[i] = mapping->source.page_slot + page[i];
    mapping->unmap_calls++;
    /* Any root will do: the pages know where they are mapped. */
    sel4_vspace_unmap_frames(mapping_root(mapping, 0), count, slots);
}

/* All RAM is in frames of that size. */
static bool is_large(void *context, uint64_t physical)
{
    uint64_t frame;

    return physical % FRAME_BYTES == 0 && find_frame(context, physical, &frame);
}

const struct shadow_operations mapping_operations = {
    .make_root = make_root,
    .make_table = make_table,
    .clear_root = clear_root,
    .attach_table = attach_table,
    .detach_table = detach_table,
    .map = map,
    .unmap = unmap,
    .is_large = is_large,
};
