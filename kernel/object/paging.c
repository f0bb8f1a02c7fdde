/* Tables of address spaces and the walk through them (SDM 3A 4.5), and what processors remember of them (SDM 3A 4.10).
 *
 * Without PCIDs, and with user mappings never global, a processor remembers nothing of an address space other than the
 * one that it has loaded.
 */
#include <object/paging.h>

#include <arch/x86_64/window.h>
#include <arch/x86_64/x86.h>
#include <lib/string.h>
#include <object/derive.h>

uint64_t *paging_entry(uint64_t root, uint64_t address, unsigned level, uint64_t present, unsigned *missing_bits)
{
    uint64_t *table = physical_to_kernel(root);

    for (unsigned at = LEVEL_PML4;; at--) {
        uint64_t *entry = &table[address >> paging_shift(at) & (PAGING_ENTRIES - 1)];

        if (at == level)
            return entry;
        if (!(*entry & present) || paging_is_page(*entry, at)) {
            *missing_bits = paging_shift(at);
            return NULL;
        }
        table = physical_to_kernel(*entry & ENTRY_ADDRESS);
    }
}

bool paging_is_open(uint64_t root, uint64_t address)
{
    const uint64_t *table = physical_to_kernel(root);

    return address_is_canonical(address) && (table[KERNEL_WINDOW_SLOT] & ENTRY_HIGH_HALF_OPEN)
        && (address >> paging_shift(LEVEL_PML4) & (PAGING_ENTRIES - 1)) != KERNEL_WINDOW_SLOT;
}

bool paging_is_for_user(uint64_t root, uint64_t address, uint64_t size)
{
    return (address <= USER_LAST && address + size <= USER_LAST) || paging_is_open(root, address);
}

void paging_open(uint64_t root)
{
    uint64_t *table = physical_to_kernel(root);

    table[KERNEL_WINDOW_SLOT] |= ENTRY_HIGH_HALF_OPEN;
}

void paging_invalidate_page(struct cpu *cpu, uint64_t root, uint64_t address)
{
    if (cpu->loaded_cr3 == root)
        invlpg(address);
}

void paging_invalidate_all(struct cpu *cpu, uint64_t root)
{
    if (cpu->loaded_cr3 == root)
        write_cr3(root);
}

void paging_leave(struct cpu *cpu, uint64_t root)
{
    if (cpu->loaded_cr3 == root) {
        cpu->loaded_cr3 = window_root();
        write_cr3(cpu->loaded_cr3);
    }
}

/* Level of the table that CAP refers to. */
static unsigned level_of(struct cap cap)
{
    return cap.type - CAP_PAGE_TABLE;
}

/* Takes the table out of the address space that it is mapped in, if it still is. */
void paging_finalise(struct cpu *cpu, struct cap cap)
{
    uint64_t root = asid_find(mapping_asid(cap), ASID_VSPACE), *entry;
    unsigned above = level_of(cap) + 1, missing_bits;

    if (!root)
        return;
    entry = paging_entry(root, mapping_address(cap), above, ENTRY_PRESENT, &missing_bits);
    if (!entry || !(*entry & ENTRY_PRESENT) || paging_is_page(*entry, above)
        || (*entry & ENTRY_ADDRESS) != cap_physical(cap))
        return;
    *entry = 0;
    paging_invalidate_all(cpu, root);
}

static void unmap(struct invocation *call)
{
    struct cap cap = call->cap;

    if (!slot_is_final(call->slot)) {
        fail(call, seL4_RevokeFirst);
        return;
    }
    if (mapping_asid(cap) != ASID_INVALID) {
        paging_finalise(call->cpu, cap);
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

    uint64_t address = argument(call, 0) & -(1ul << paging_shift(above)), attributes = argument(call, 1);
    struct cap root = call->extra[0]->cap;
    if (!vspace_is_root(root)) {
        fail_capability(call, 1);
        return;
    }
    if (address > USER_LAST && !paging_is_open(cap_physical(root), address)) {
        fail_argument(call, 0);
        return;
    }
    if (!asid_check_root(call, root))
        return;

    uint64_t *entry = paging_entry(cap_physical(root), address, above, ENTRY_PRESENT, &missing_bits);
    if (!entry) {
        fail_missing_table(call, missing_bits);
        return;
    }
    if (*entry & ENTRY_PRESENT) {
        fail(call, seL4_DeleteFirst);
        return;
    }

    /* What was not present is not remembered (SDM 3A 4.10.4.3). */
    *entry = cap_physical(call->cap) | ENTRY_PRESENT | ENTRY_WRITABLE | ENTRY_USER | (attributes & 3) << 3;
    call->slot->cap.data = MAPPING(mapping_asid(root), address);
}

void paging_invoke(struct invocation *call)
{
    static const struct {
        unsigned map, unmap;
    } labels[] = {
        [LEVEL_PAGE_TABLE] = { X86PageTableMap, X86PageTableUnmap },
        [LEVEL_PAGE_DIRECTORY] = { X86PageDirectoryMap, X86PageDirectoryUnmap },
        [LEVEL_PDPT] = { X86PDPTMap, X86PDPTUnmap },
    };
    unsigned level = level_of(call->cap);

    if (call->label == labels[level].unmap)
        unmap(call);
    else if (call->label == labels[level].map)
        map(call);
    else
        fail(call, seL4_IllegalOperation);
}
