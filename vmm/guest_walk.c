#include "vmm/guest_walk.h"

#include "vmm/paging_bits.h"

#include <string.h>

#define RFLAGS_AC (UINT64_C(1) << 18)

void walk_begin(struct walk_context *context, struct vcpu *vcpu, const struct guest_memory *memory)
{
    *context = (struct walk_context) { .memory = memory, .vcpu = vcpu };
    /* 64-bit code has four-level paging: no virtual CPU offers five levels. This saves reading registers. */
    if (vcpu_get(vcpu, VCPU_RIP) >> 32 != 0 || (vcpu_get(vcpu, VCPU_SEGMENT(VCPU_CS, VCPU_ACCESS)) & ACCESS_LONG)) {
        context->levels = 4;
    } else if (vcpu_get(vcpu, VCPU_CR0) & CR0_PG) {
        uint64_t cr4 = vcpu_get(vcpu, VCPU_CR4);

        if (vcpu_get(vcpu, VCPU_EFER) & EFER_LMA)
            context->levels = cr4 & CR4_LA57 ? 5 : 4;
        else
            context->levels = cr4 & CR4_PAE ? 3 : 2;
        context->pse = cr4 & CR4_PSE;
    }
    if (context->levels != 0)
        context->cr3 = vcpu_get(vcpu, VCPU_CR3);
    if (context->levels == 3)
        for (unsigned i = 0; i < 4; i++)
            context->pdpte[i] = vcpu_get(vcpu, (enum vcpu_register)(VCPU_PDPTE0 + i));
}

static void fetch_rights(struct walk_context *context)
{
    struct vcpu *vcpu = context->vcpu;

    context->rights_known = true;
    context->write_protect = vcpu_get(vcpu, VCPU_CR0) & CR0_WP;
    context->no_supervisor_access = (vcpu_get(vcpu, VCPU_CR4) & CR4_SMAP) && !(vcpu_get(vcpu, VCPU_RFLAGS) & RFLAGS_AC);
    context->user = (vcpu_get(vcpu, VCPU_SEGMENT(VCPU_SS, VCPU_ACCESS)) >> 5 & 3) == 3; /* DPL of SS is the CPL */
}

/* Only for those that ask about execution: exits of VT-x do not come with these registers. */
static void fetch_execution_rights(struct walk_context *context)
{
    context->no_execute = vcpu_get(context->vcpu, VCPU_EFER) & EFER_NXE;
    context->no_supervisor_execute = vcpu_get(context->vcpu, VCPU_CR4) & CR4_SMEP;
}

void walk_as(struct walk_context *context, bool user)
{
    if (!context->rights_known)
        fetch_rights(context);
    context->user = user;
}

void walk_strictly(struct walk_context *context, unsigned physical_bits)
{
    context->reserved = ENTRY_ADDRESS & ~((UINT64_C(1) << physical_bits) - 1);
    if (!(vcpu_get(context->vcpu, VCPU_EFER) & EFER_NXE))
        context->reserved |= ENTRY_NO_EXECUTE;
}

/* Whether the rights that the levels have together allow it (SDM 3A 4.6.1). */
static bool is_allowed(struct walk_context *context, uint64_t rights, enum walk_access access)
{
    if (access == WALK_PRESENT)
        return true;
    if (!context->rights_known)
        fetch_rights(context);
    if (context->user && !(rights & ENTRY_USER))
        return false;
    if (access == WALK_EXECUTE) {
        fetch_execution_rights(context);
        return !(context->no_execute && (rights & ENTRY_NO_EXECUTE)) &&
               !(!context->user && (rights & ENTRY_USER) && context->no_supervisor_execute);
    }
    if (!context->user && (rights & ENTRY_USER) && context->no_supervisor_access)
        return false;
    return access == WALK_READ || (rights & ENTRY_WRITE) || (!context->user && !context->write_protect);
}

static uint64_t load_entry(const void *entry, unsigned bytes)
{
    return bytes == 8 ? __atomic_load_n((const uint64_t *)entry, __ATOMIC_RELAXED)
                      : __atomic_load_n((const uint32_t *)entry, __ATOMIC_RELAXED);
}

static void set_flags(void *entry, uint64_t value, uint64_t flags)
{
    if ((value & flags) != flags)
        __atomic_fetch_or((uint8_t *)entry, (uint8_t)flags, __ATOMIC_RELAXED);
}

/* Bits of an entry that must be 0: in a large page what is below its size, but for the PAT bit. That NX may be on, and
 * which addresses the processor has, it has found itself, unless walk_strictly says otherwise. */
static bool has_reserved_bits(const struct walk_context *context, uint64_t entry, unsigned shift, bool large)
{
    uint64_t reserved = context->levels == 3 ? UINT64_C(0x7ff) << 52 : 0;

    if (context->levels == 4)
        reserved |= context->reserved;
    if (large)
        reserved |= (UINT64_C(1) << shift) - (UINT64_C(1) << 13);
    return context->levels != 2 && (entry & reserved) != 0;
}

static enum walk_result fault(struct walk_context *context, enum walk_access access, uint32_t bits, uint32_t *error)
{
    if (!context->rights_known)
        fetch_rights(context);
    *error = bits | (access == WALK_WRITE ? ERROR_WRITE : 0) | (context->user ? ERROR_USER : 0);
    if (access == WALK_EXECUTE) { /* SDM 3A 4.7: the bit tells only where it can make a difference */
        fetch_execution_rights(context);
        if (context->no_execute || context->no_supervisor_execute)
            *error |= ERROR_FETCH;
    }
    return WALK_PAGE_FAULT;
}

/* What an entry of the last level translates to; 4 MiB pages of 32-bit paging have address bits 39 to 32 in bits 20
 * to 13 (SDM 3A table 4-4). */
static uint64_t page_base(const struct walk_context *context, uint64_t entry, unsigned shift)
{
    if (context->levels == 2 && shift > 12)
        return (entry & UINT64_C(0xffc00000)) | (entry >> 13 & 0xff) << 32;
    return entry & ENTRY_ADDRESS & ~((UINT64_C(1) << shift) - 1);
}

enum walk_result walk_address(struct walk_context *context, uint64_t address, enum walk_access access,
                              uint64_t *physical, uint32_t *error)
{
    unsigned bytes = context->levels == 2 ? 4 : 8, index_bits = context->levels == 2 ? 10 : 9;
    unsigned level = context->levels;
    uint64_t table = context->cr3 & ENTRY_ADDRESS, rights = ENTRY_WRITE | ENTRY_USER;

    if (level < 4)
        address &= UINT32_MAX;
    else if (!is_canonical(address))
        return WALK_NOT_CANONICAL;
    if (level == 0) {
        *physical = address;
        return WALK_OK;
    }
    if (level == 3) {
        uint64_t pdpte = context->pdpte[address >> 30];
        if (!(pdpte & ENTRY_PRESENT))
            return fault(context, access, 0, error);
        table = pdpte & ENTRY_ADDRESS;
        level = 2;
    }
    for (; level > 0 && level < 5; level--) {
        unsigned shift = 12 + (level - 1) * index_bits;
        uint64_t index = address >> shift & ((1u << index_bits) - 1);
        void *place = guest_memory_at(context->memory, table + index * bytes, bytes);

        if (!place)
            return WALK_UNSUPPORTED;
        uint64_t entry = load_entry(place, bytes);
        if (!(entry & ENTRY_PRESENT))
            return fault(context, access, 0, error);
        bool large = level > 1 && (entry & ENTRY_LARGE) && (context->levels > 2 || context->pse);
        if ((large && level == 4) || has_reserved_bits(context, entry, shift, large))
            return fault(context, access, ERROR_PRESENT | ERROR_RESERVED, error);
        rights = (rights & entry) | ((rights | entry) & ENTRY_NO_EXECUTE); /* each level can refuse execution */
        if (level > 1 && !large) {
            set_flags(place, entry, ENTRY_ACCESSED);
            table = entry & ENTRY_ADDRESS;
            continue;
        }
        if (!is_allowed(context, rights, access))
            return fault(context, access, ERROR_PRESENT, error);
        set_flags(place, entry, access == WALK_WRITE ? ENTRY_ACCESSED | ENTRY_DIRTY : ENTRY_ACCESSED);
        *physical = page_base(context, entry, shift) | (address & ((UINT64_C(1) << shift) - 1));
        return WALK_OK;
    }
    return WALK_UNSUPPORTED;
}

unsigned walk_fetch_code(struct walk_context *context, uint64_t address, uint8_t bytes[WALK_CODE_BYTES])
{
    unsigned to_end = 4096 - (unsigned)(address % 4096), length = 0;

    while (length < WALK_CODE_BYTES) {
        unsigned part = length == 0 && to_end < WALK_CODE_BYTES ? to_end : WALK_CODE_BYTES - length;
        uint64_t physical;
        const void *code;
        uint32_t error;

        if (walk_address(context, address + length, WALK_PRESENT, &physical, &error) != WALK_OK ||
            !(code = guest_memory_at(context->memory, physical, part)))
            break;
        if (part == WALK_CODE_BYTES) /* nearly always; a constant length spares the call */
            memcpy(bytes, code, WALK_CODE_BYTES);
        else
            memcpy(bytes + length, code, part);
        length += part;
    }
    return length;
}
