#include "vmm/pv/shadow_walk.h"

#define ALL_RIGHTS (ENTRY_WRITE | ENTRY_USER)

/* An entry of LEVEL is a page; at level 3 it cannot be one, and the bit is reserved. */
static bool is_page(uint64_t entry, unsigned level)
{
    return level == 0 || (entry & ENTRY_LARGE) != 0;
}

/* In a large page what is below its size must be 0, but for the PAT bit (SDM 3A tables 4-15 to 4-20). */
static bool has_reserved_bits(const struct shadow_paging *paging, uint64_t entry, unsigned level)
{
    uint64_t reserved = paging->reserved;

    if (level > 0 && (entry & ENTRY_LARGE)) {
        if (level == SHADOW_ROOT)
            return true;
        reserved |= (UINT64_C(1) << shadow_shift(level)) - (UINT64_C(1) << 13);
    }
    return (entry & reserved) != 0;
}

static uint64_t meaning_of(uint64_t entry, unsigned level, uint64_t upper)
{
    uint64_t rights = (entry & upper & ALL_RIGHTS) | ((entry | upper) & ENTRY_NO_EXECUTE);

    if (level > 0 && is_page(entry, level))
        return (entry & ENTRY_ADDRESS & ~((UINT64_C(1) << shadow_shift(level)) - 1)) | ENTRY_LARGE | rights;
    return (entry & ENTRY_ADDRESS) | rights;
}

bool shadow_entry_meaning(const struct shadow_paging *paging, uint64_t entry, unsigned level, uint64_t upper,
                          uint64_t *meaning)
{
    if (!(entry & ENTRY_PRESENT) || has_reserved_bits(paging, entry, level))
        return false;
    *meaning = meaning_of(entry, level, upper);
    return true;
}

/* Whether the rights that the levels have together allow it (SDM 3A 4.6.1). SMEP and SMAP are not offered. */
static bool is_allowed(const struct shadow_paging *paging, uint64_t rights, enum shadow_access access)
{
    if (paging->user && !(rights & ENTRY_USER))
        return false;
    if (access == SHADOW_WRITES)
        return (rights & ENTRY_WRITE) || (!paging->user && !paging->write_protect);
    return access != SHADOW_FETCHES || !(rights & ENTRY_NO_EXECUTE);
}

static uint32_t error_code(const struct shadow_paging *paging, enum shadow_access access, uint32_t bits)
{
    return bits | (access == SHADOW_WRITES ? ERROR_WRITE : 0) | (paging->user ? ERROR_USER : 0) |
           (access == SHADOW_FETCHES && paging->no_execute ? ERROR_FETCH : 0);
}

/* Sets flags of an entry, unless it is no longer what was read. */
static bool set_flags(uint64_t *place, uint64_t *entry, uint64_t flags)
{
    if ((*entry & flags) == flags)
        return true;
    uint64_t expected = *entry;
    if (!__atomic_compare_exchange_n(place, &expected, *entry | flags, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        return false;
    *entry |= flags;
    return true;
}

enum shadow_walk_result shadow_walk(const struct guest_memory *memory, const struct shadow_paging *paging,
                                    uint64_t address, enum shadow_access access, struct shadow_walk *walk,
                                    uint32_t *error)
{
    uint64_t table = paging->root, upper = ALL_RIGHTS;

    for (unsigned level = SHADOW_ROOT;; level--) {
        uint64_t *place = guest_memory_at(memory, table + shadow_index(address, level) * 8, 8);
        uint64_t entry = place ? __atomic_load_n(place, __ATOMIC_RELAXED) : UINT64_MAX;

        if (!(entry & ENTRY_PRESENT)) {
            *error = error_code(paging, access, 0);
            return SHADOW_WALK_FAULT;
        }
        if (has_reserved_bits(paging, entry, level)) {
            *error = error_code(paging, access, ERROR_PRESENT | ERROR_RESERVED);
            return SHADOW_WALK_FAULT;
        }
        walk->table[level] = table;
        walk->meaning[level] = upper = meaning_of(entry, level, upper);
        if (!is_page(entry, level)) {
            if (place && !set_flags(place, &entry, ENTRY_ACCESSED))
                return SHADOW_WALK_CHANGED;
            table = entry & ENTRY_ADDRESS;
            continue;
        }
        if (!is_allowed(paging, upper, access)) {
            *error = error_code(paging, access, ERROR_PRESENT);
            return SHADOW_WALK_FAULT;
        }
        uint64_t flags = access == SHADOW_WRITES ? ENTRY_ACCESSED | ENTRY_DIRTY : ENTRY_ACCESSED;
        if (place && !set_flags(place, &entry, flags))
            return SHADOW_WALK_CHANGED;
        walk->leaf = level;
        walk->dirty = entry & ENTRY_DIRTY;
        walk->physical = (upper & ENTRY_ADDRESS) | (address & ((UINT64_C(1) << shadow_shift(level)) - 1));
        return SHADOW_WALKED;
    }
}
