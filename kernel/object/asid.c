/* ASIDs: the names by which capabilities remember the address space that their object is mapped in. An ASID leads to the
 * root of that address space only as long as the root and the ASID's pool exist, so that a capability never leads to
 * what has taken their place.
 *
 * A pool is a page of 512 elements: the physical address of a root, and what it is the root of in the low bits.
 */
#include <object/paging.h>

#include <lib/string.h>
#include <object/cnode.h>
#include <object/derive.h>

#define POOL_ENTRIES (1u << ASID_POOL_BITS)

static uint64_t *element(unsigned asid)
{
    uint64_t *pool = kernel.asid_pools[asid >> ASID_POOL_BITS];

    return pool ? &pool[asid & (POOL_ENTRIES - 1)] : NULL;
}

static enum asid_use use_of(struct cap root)
{
    return root.type == CAP_EPT_PML4 ? ASID_EPT : ASID_VSPACE;
}

static uint64_t element_for(struct cap root)
{
    return cap_physical(root) | use_of(root);
}

bool asid_check_root(struct invocation *call, struct cap root)
{
    uint64_t found = asid_find(mapping_asid(root), use_of(root));

    if (!found) {
        struct lookup_failure failure = { .type = seL4_InvalidRoot };
        fail_lookup(call, false, &failure);
        return false;
    }
    if (found != cap_physical(root)) {
        fail_capability(call, 1);
        return false;
    }
    return true;
}

/* The address space of an element is no longer that ASID's. */
static void lose(struct cpu *cpu, unsigned asid, uint64_t element_value)
{
    uint64_t root = element_value & ~ASID_USE_MASK;

    if ((element_value & ASID_USE_MASK) == ASID_VSPACE)
        paging_leave(cpu, root);
    else if ((element_value & ASID_USE_MASK) == ASID_EPT)
        ept_root_gone(cpu, asid, root);
}

void asid_release(struct cpu *cpu, struct cap root)
{
    unsigned asid = mapping_asid(root);
    uint64_t *entry = element(asid);

    if (entry && *entry == element_for(root)) {
        *entry = 0;
        lose(cpu, asid, element_for(root));
    }
}

void asid_pool_finalise(struct cpu *cpu, struct cap cap)
{
    unsigned base = mapping_asid(cap);
    uint64_t *pool = cap_object(cap);

    if (kernel.asid_pools[base >> ASID_POOL_BITS] != pool)
        return;
    kernel.asid_pools[base >> ASID_POOL_BITS] = NULL;
    for (unsigned i = 0; i < POOL_ENTRIES; i++)
        lose(cpu, base + i, pool[i]);
}

void asid_control_invoke(struct invocation *call)
{
    unsigned index = 0;

    if (call->label != X86ASIDControlMakePool) {
        fail(call, seL4_IllegalOperation);
        return;
    }
    if (call->length < 2 || !has_extra(call, 2)) {
        fail(call, seL4_TruncatedMessage);
        return;
    }
    while (index < ASID_POOL_COUNT && kernel.asid_pools[index])
        index++;
    if (index == ASID_POOL_COUNT) {
        fail(call, seL4_DeleteFirst);
        return;
    }

    struct slot *parent = call->extra[0];
    if (parent->cap.type != CAP_UNTYPED || untyped_size_bits(parent->cap) != seL4_ASIDPoolBits
        || untyped_is_device(parent->cap)) {
        fail_capability(call, 1);
        return;
    }
    if (slot_has_children(parent)) {
        fail(call, seL4_RevokeFirst);
        return;
    }
    struct slot *to = cnode_empty_slot(call, call->extra[1]->cap, argument(call, 0), argument(call, 1));
    if (!to)
        return;

    uint64_t physical = cap_physical(parent->cap);
    parent->cap.data = 1ul << seL4_ASIDPoolBits;
    memset(physical_to_kernel(physical), 0, 1ul << seL4_ASIDPoolBits);
    slot_insert(cap_make(CAP_ASID_POOL, physical, 0, MAPPING(index << ASID_POOL_BITS, 0)), parent, to);
    asid_install_pool(index, physical_to_kernel(physical));
}

void asid_pool_invoke(struct invocation *call)
{
    unsigned asid = mapping_asid(call->cap), end = asid + POOL_ENTRIES;
    const uint64_t *pool = kernel.asid_pools[asid >> ASID_POOL_BITS];

    if (call->label != X86ASIDPoolAssign) {
        fail(call, seL4_IllegalOperation);
        return;
    }
    if (!has_extra(call, 1)) {
        fail(call, seL4_TruncatedMessage);
        return;
    }

    struct slot *slot = call->extra[0];
    if ((slot->cap.type != CAP_PML4 && slot->cap.type != CAP_EPT_PML4) || mapping_asid(slot->cap) != ASID_INVALID) {
        fail_capability(call, 1);
        return;
    }
    if (!pool) {
        struct lookup_failure failure = { .type = seL4_InvalidRoot };
        fail_lookup(call, false, &failure);
        return;
    }
    if (pool != cap_object(call->cap)) {
        fail_capability(call, 0);
        return;
    }
    while (asid < end && (asid == ASID_INVALID || *element(asid) != 0))
        asid++;
    if (asid == end) {
        fail(call, seL4_DeleteFirst);
        return;
    }

    slot->cap.data = MAPPING(asid, 0);
    *element(asid) = element_for(slot->cap);
}

void asid_install_pool(unsigned pool_index, void *pool)
{
    kernel.asid_pools[pool_index] = pool;
}

struct cap asid_assign_boot(struct cap pml4, unsigned pool_index, unsigned entry)
{
    unsigned asid = pool_index << ASID_POOL_BITS | entry;

    pml4.data = MAPPING(asid, 0);
    *element(asid) = element_for(pml4);
    return pml4;
}
