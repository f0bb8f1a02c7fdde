/* Second-level translation (SDM 3C 29.3): tables and pages of guest-physical address spaces. Which guest uses which root
 * is the VCPU's affair; what entries look like, and what processors remember of them, is in arch/x86_64/second_level.h.
 */
#include <object/paging.h>

#include <arch/x86_64/second_level.h>
#include <lib/string.h>
#include <object/derive.h>

static bool is_root(struct cap cap)
{
    return cap.type == CAP_EPT_PML4;
}

static unsigned level_of(struct cap cap)
{
    return cap.type - CAP_EPT_PAGE_TABLE;
}

/* Takes the table out of the structure that it is mapped in, if it still is. */
static void unmap_table(struct cap cap)
{
    uint64_t root = asid_find(mapping_asid(cap), ASID_EPT), *entry;
    unsigned above = level_of(cap) + 1, missing_bits;

    if (!root)
        return;
    entry = paging_entry(root, mapping_address(cap), above, second_level_format()->present, &missing_bits);
    if (!entry || *entry == 0 || paging_is_page(*entry, above) || (*entry & ENTRY_ADDRESS) != cap_physical(cap))
        return;
    *entry = 0;
    second_level_change();
}

void ept_finalise(struct cpu *cpu, struct cap cap, bool final)
{
    if (!final)
        return;
    if (is_root(cap))
        asid_release(cpu, cap);
    else
        unmap_table(cap);
}

void ept_root_gone(struct cpu *cpu, unsigned asid, uint64_t root)
{
    (void)cpu, (void)asid, (void)root;
    second_level_change();
}

static void unmap(struct invocation *call)
{
    struct cap cap = call->cap;

    if (!slot_is_final(call->slot)) {
        fail(call, seL4_RevokeFirst);
        return;
    }
    if (mapping_asid(cap) != ASID_INVALID) {
        unmap_table(cap);
        memset(cap_object(cap), 0, 1ul << seL4_PageBits);
        call->slot->cap.data = 0;
    }
}

static void map(struct invocation *call)
{
    unsigned above = level_of(call->cap) + 1, missing_bits;

    if (call->length < 2 || !has_extra(call, 1)) {
        fail(call, seL4_TruncatedMessage);
        return;
    }
    if (mapping_asid(call->cap) != ASID_INVALID) {
        fail_capability(call, 0);
        return;
    }

    uint64_t address = argument(call, 0) & -(1ul << paging_shift(above));
    struct cap root = call->extra[0]->cap;
    bool needs_asid = call->cap.type == CAP_EPT_PAGE_TABLE;
    if (!is_root(root) || (needs_asid && mapping_asid(root) == ASID_INVALID)) {
        fail_capability(call, 1);
        return;
    }
    if (!asid_check_root(call, root))
        return;

    uint64_t *entry = paging_entry(cap_physical(root), address, above, second_level_format()->present, &missing_bits);
    if (!entry) {
        fail_missing_table(call, missing_bits);
        return;
    }
    if (*entry != 0) {
        fail(call, seL4_DeleteFirst);
        return;
    }

    /* What was not present is not remembered (SDM 3C 29.4.3.4). */
    *entry = cap_physical(call->cap) | second_level_format()->table;
    call->slot->cap.data = MAPPING(mapping_asid(root), address);
}

void ept_invoke(struct invocation *call)
{
    static const struct {
        unsigned map, unmap;
    } labels[] = {
        [LEVEL_PAGE_TABLE] = { X86EPTPTMap, X86EPTPTUnmap },
        [LEVEL_PAGE_DIRECTORY] = { X86EPTPDMap, X86EPTPDUnmap },
        [LEVEL_PDPT] = { X86EPTPDPTMap, X86EPTPDPTUnmap },
    };
    unsigned level = level_of(call->cap);

    if (is_root(call->cap))
        fail(call, seL4_IllegalOperation);
    else if (call->label == labels[level].unmap)
        unmap(call);
    else if (call->label == labels[level].map)
        map(call);
    else
        fail(call, seL4_IllegalOperation);
}

/* Without rights the entry keeps the address, which tells it from an empty one, and leads nowhere. */
static uint64_t page_entry(uint64_t physical, unsigned level, unsigned rights, uint64_t attributes)
{
    const struct second_level_format *format = second_level_format();
    uint64_t entry = physical | (level != LEVEL_PAGE_TABLE ? ENTRY_LARGE : 0);

    entry |= format->memory_type(attributes, level);
    if (rights & RIGHT_READ)
        entry |= format->readable | (rights & RIGHT_WRITE ? format->writable : 0);
    return entry;
}

void ept_map_frame(struct invocation *call)
{
    unsigned level = frame_size(call->cap), missing_bits;

    if (call->length < 3 || !has_extra(call, 1)) {
        fail(call, seL4_TruncatedMessage);
        return;
    }

    uint64_t address = argument(call, 0) & -(1ul << seL4_PageBits), attributes = argument(call, 2);
    unsigned rights = frame_rights(call->cap) & (unsigned)argument(call, 1);
    struct cap root = call->extra[0]->cap;
    if (mapping_asid(call->cap) != ASID_INVALID) {
        fail_capability(call, 0);
        return;
    }
    if (!is_root(root) || mapping_asid(root) == ASID_INVALID) {
        fail_capability(call, 1);
        return;
    }
    if (!asid_check_root(call, root))
        return;
    if (address & ((1ul << paging_shift(level)) - 1)) {
        fail(call, seL4_AlignmentError);
        return;
    }
    if (level > LEVEL_PAGE_DIRECTORY) {
        fail_capability(call, 0);
        return;
    }

    uint64_t *entry = paging_entry(cap_physical(root), address, level, second_level_format()->present, &missing_bits);
    if (!entry) {
        fail_missing_table(call, missing_bits);
        return;
    }
    if (*entry != 0) {
        fail(call, seL4_DeleteFirst);
        return;
    }

    *entry = page_entry(cap_physical(call->cap), level, rights, attributes);
    call->slot->cap = cap_make(CAP_FRAME, cap_physical(call->cap),
                               FRAME_BITS(level, frame_rights(call->cap), frame_is_device(call->cap), FRAME_IN_EPT),
                               MAPPING(mapping_asid(root), address));
}

void ept_unmap_frame(struct cpu *cpu, struct cap frame)
{
    unsigned level = frame_size(frame), missing_bits;
    uint64_t root = asid_find(mapping_asid(frame), ASID_EPT), *entry;

    (void)cpu;
    if (!root)
        return;
    entry = paging_entry(root, mapping_address(frame), level, second_level_format()->present, &missing_bits);
    if (!entry || *entry == 0 || !paging_is_page(*entry, level)
        || paging_page_address(*entry, level) != cap_physical(frame))
        return;
    *entry = 0;
    second_level_change();
}
