/* Pages of RAM and of devices, and how user programs map them. */
#include <object/paging.h>

#include <arch/x86_64/x86.h>

/* Whether processors have pages of 1 GiB (CPUID). */
static bool huge_pages;

void frame_init(void)
{
    huge_pages = cpuid_checked(0x80000001, 0).edx >> 26 & 1;
}

uint64_t frame_entry(uint64_t physical, unsigned level, unsigned rights, uint64_t attributes)
{
    uint64_t entry = physical | ENTRY_PRESENT | (attributes & 3) << 3; /* PWT, PCD */

    if (level != LEVEL_PAGE_TABLE)
        entry |= ENTRY_LARGE;
    if (attributes & seL4_X86_WriteCombining && level != LEVEL_PDPT)
        entry |= level == LEVEL_PAGE_TABLE ? ENTRY_PAT : ENTRY_LARGE_PAT;
    /* A page that may not be read is there, but not for the user: an access is a fault on a page that is present. */
    if (!(rights & RIGHT_READ))
        return entry | ENTRY_NO_EXECUTE;
    return entry | ENTRY_USER | (rights & RIGHT_WRITE ? ENTRY_WRITABLE : 0);
}

static void unmap_from_vspace(struct cpu *cpu, struct cap cap)
{
    unsigned level = frame_size(cap), missing_bits;
    uint64_t root = asid_find(mapping_asid(cap), ASID_VSPACE), *entry;

    if (!root)
        return;
    entry = paging_entry(root, mapping_address(cap), level, ENTRY_PRESENT, &missing_bits);
    if (!entry || !(*entry & ENTRY_PRESENT) || !paging_is_page(*entry, level)
        || paging_page_address(*entry, level) != cap_physical(cap))
        return;
    *entry = 0;
    paging_invalidate_page(cpu, root, mapping_address(cap));
}

void frame_finalise(struct cpu *cpu, struct cap cap)
{
    if (mapping_asid(cap) == ASID_INVALID)
        return;
    if (frame_use(cap) == FRAME_IN_EPT)
        ept_unmap_frame(cpu, cap);
    else
        unmap_from_vspace(cpu, cap);
}

/* CAP as mapped, or, with ASID_INVALID and address 0, as not. */
static struct cap mapped(struct cap cap, enum frame_use use, unsigned asid, uint64_t address)
{
    return cap_make(CAP_FRAME, cap_physical(cap), FRAME_BITS(frame_size(cap), frame_rights(cap), frame_is_device(cap), use),
                    MAPPING(asid, address));
}

/* Whether a frame that is mapped may be mapped (again, to change rights or attributes) at ADDRESS of ASID. */
static bool check_same_place(struct invocation *call, unsigned asid, uint64_t address)
{
    if (mapping_asid(call->cap) != asid)
        fail_capability(call, 1);
    else if (frame_use(call->cap) != FRAME_IN_VSPACE)
        fail(call, seL4_IllegalOperation);
    else if (mapping_address(call->cap) != address)
        fail_argument(call, 0);
    else
        return true;
    return false;
}

static void map(struct invocation *call)
{
    unsigned level = frame_size(call->cap), missing_bits;

    if (call->length < 3 || !has_extra(call, 1)) {
        fail(call, seL4_TruncatedMessage);
        return;
    }

    uint64_t address = argument(call, 0), attributes = argument(call, 2), size = 1ul << paging_shift(level);
    unsigned rights = frame_rights(call->cap) & (unsigned)argument(call, 1);
    struct cap root = call->extra[0]->cap;
    if (!vspace_is_root(root)) {
        fail_capability(call, 1);
        return;
    }
    if (mapping_asid(call->cap) != ASID_INVALID) {
        if (!check_same_place(call, mapping_asid(root), address))
            return;
    } else if (!paging_is_for_user(cap_physical(root), address, size)) {
        fail_argument(call, 0);
        return;
    }
    if (!asid_check_root(call, root))
        return;
    if (address & (size - 1)) {
        fail(call, seL4_AlignmentError);
        return;
    }

    uint64_t *entry = paging_entry(cap_physical(root), address, level, ENTRY_PRESENT, &missing_bits);
    if (!entry) {
        fail_missing_table(call, missing_bits);
        return;
    }
    if (*entry & ENTRY_PRESENT && !paging_is_page(*entry, level)) {
        fail(call, seL4_DeleteFirst);
        return;
    }
    if (level == LEVEL_PDPT && !huge_pages) {
        fail(call, seL4_IllegalOperation);
        return;
    }

    /* What was mapped there gives way, and must not be remembered. */
    *entry = frame_entry(cap_physical(call->cap), level, rights, attributes);
    paging_invalidate_page(call->cpu, cap_physical(root), address);
    call->slot->cap = mapped(call->cap, FRAME_IN_VSPACE, mapping_asid(root), address);
}

/* Without an IOMMU there are no capabilities to I/O spaces, so the one that is given is never right. */
static void map_io(struct invocation *call)
{
    if (call->length < 2 || !has_extra(call, 1))
        fail(call, seL4_TruncatedMessage);
    else
        fail_capability(call, 0);
}

void frame_invoke(struct invocation *call)
{
    switch (call->label) {
    case X86PageMap:
        map(call);
        break;
    case X86PageUnmap:
        frame_finalise(call->cpu, call->cap);
        call->slot->cap = mapped(call->cap, FRAME_UNMAPPED, ASID_INVALID, 0);
        break;
    case X86PageMapIO:
        map_io(call);
        break;
    case X86PageMapEPT:
        ept_map_frame(call);
        break;
    case X86PageGetAddress:
        result(call, cap_physical(call->cap));
        break;
    default:
        fail(call, seL4_IllegalOperation);
        break;
    }
}
