#include "vmm/pv/access.h"

#include "vmm/linear.h"
#include "vmm/paging_bits.h"

#include <string.h>

#define PUSH_WORDS_MAX 8u

bool pv_fault_general(struct pv_fault *fault, uint8_t vector, uint32_t error)
{
    *fault = (struct pv_fault) { .vector = vector, .has_error = true, .error = error };
    return false;
}

bool pv_fault_undefined(struct pv_fault *fault)
{
    *fault = (struct pv_fault) { .vector = VECTOR_UD };
    return false;
}

bool pv_raise(struct pv_cpu *cpu, const struct pv_fault *fault)
{
    if (fault->vector == VECTOR_PF)
        vcpu_set(cpu->vcpu, VCPU_CR2, fault->address);
    return vcpu_raise(cpu->vcpu, fault->vector, fault->has_error, fault->error);
}

static void begin(struct linear_space *space, struct pv_cpu *cpu, enum pv_access access)
{
    *space = (struct linear_space) { .bus = cpu->bus };
    walk_begin(&space->walk, cpu->vcpu, cpu->memory);
    walk_as(&space->walk, access == PV_USER);
    walk_strictly(&space->walk, cpu->physical_bits ? cpu->physical_bits : 52);
}

/* The part of RANGE that could not be translated is its last. */
static bool translate(struct linear_space *space, uint64_t address, unsigned size, enum walk_access access,
                      struct linear_range *range, uint8_t not_canonical, struct pv_fault *fault)
{
    uint32_t error = 0;
    enum walk_result result = linear_translate(space, address, size, access, range, &error);

    if (result == WALK_OK)
        return true;
    if (result == WALK_NOT_CANONICAL)
        return pv_fault_general(fault, not_canonical, 0);
    /* A paging structure where there is no memory reads as ones, of which some are reserved. */
    if (result == WALK_UNSUPPORTED)
        error = ERROR_PRESENT | ERROR_RESERVED | (access == WALK_WRITE ? ERROR_WRITE : 0) |
                (space->walk.user ? ERROR_USER : 0);
    pv_fault_general(fault, VECTOR_PF, error);
    fault->address = range->count == 2 ? address + range->part[0].size : address;
    return false;
}

static bool read(struct pv_cpu *cpu, uint64_t address, unsigned size, enum pv_access access, uint64_t *value,
                 uint8_t not_canonical, struct pv_fault *fault)
{
    struct linear_space space;
    struct linear_range range;

    begin(&space, cpu, access);
    if (!translate(&space, address, size, WALK_READ, &range, not_canonical, fault))
        return false;
    *value = linear_load(&space, &range);
    return true;
}

static void store(struct pv_cpu *cpu, const struct linear_space *space, const struct linear_range *range, uint64_t value)
{
    linear_store(space, range, value);
    for (unsigned i = 0; i < range->count && cpu->written; i++)
        cpu->written(cpu->context, range->part[i].physical, range->part[i].size);
}

static bool write(struct pv_cpu *cpu, uint64_t address, unsigned size, enum pv_access access, uint64_t value,
                  uint8_t not_canonical, struct pv_fault *fault)
{
    struct linear_space space;
    struct linear_range range;

    begin(&space, cpu, access);
    if (!translate(&space, address, size, WALK_WRITE, &range, not_canonical, fault))
        return false;
    store(cpu, &space, &range, value);
    return true;
}

bool pv_read(struct pv_cpu *cpu, uint64_t address, unsigned size, enum pv_access access, uint64_t *value,
             struct pv_fault *fault)
{
    return read(cpu, address, size, access, value, VECTOR_GP, fault);
}

bool pv_write(struct pv_cpu *cpu, uint64_t address, unsigned size, enum pv_access access, uint64_t value,
              struct pv_fault *fault)
{
    return write(cpu, address, size, access, value, VECTOR_GP, fault);
}

bool pv_read_stack(struct pv_cpu *cpu, uint64_t address, unsigned size, enum pv_access access, uint64_t *value,
                   struct pv_fault *fault)
{
    return read(cpu, address, size, access, value, VECTOR_SS, fault);
}

bool pv_write_stack(struct pv_cpu *cpu, uint64_t address, unsigned size, enum pv_access access, uint64_t value,
                    struct pv_fault *fault)
{
    return write(cpu, address, size, access, value, VECTOR_SS, fault);
}

bool pv_push(struct pv_cpu *cpu, uint64_t top, const uint64_t *words, unsigned count, unsigned word_size,
             enum pv_access access, struct pv_fault *fault)
{
    struct linear_range range[PUSH_WORDS_MAX];
    struct linear_space space;

    begin(&space, cpu, access);
    for (unsigned i = 0; i < count; i++)
        if (!translate(&space, top - (i + 1) * word_size, word_size, WALK_WRITE, &range[i], VECTOR_SS, fault))
            return false;
    for (unsigned i = 0; i < count; i++)
        store(cpu, &space, &range[i], words[i]);
    return true;
}

bool pv_can_write(struct pv_cpu *cpu, uint64_t address, unsigned size, enum pv_access access, struct pv_fault *fault)
{
    struct linear_space space;
    struct linear_range range;

    begin(&space, cpu, access);
    return translate(&space, address, size, WALK_WRITE, &range, VECTOR_GP, fault);
}

bool pv_writable_address(struct pv_cpu *cpu, uint64_t address, uint64_t *physical)
{
    struct linear_space space;
    struct linear_range range;
    struct pv_fault fault;

    begin(&space, cpu, pv_access_at(pv_cpl(cpu->vcpu)));
    if (!translate(&space, address, 1, WALK_PRESENT, &range, VECTOR_GP, &fault))
        return false;
    *physical = range.part[0].physical;
    return true;
}

bool pv_code_address(struct pv_cpu *cpu, uint64_t address, uint64_t *physical, struct pv_fault *fault)
{
    struct linear_space space;
    struct linear_range range;

    begin(&space, cpu, pv_access_at(pv_cpl(cpu->vcpu)));
    if (!translate(&space, address, 1, WALK_EXECUTE, &range, VECTOR_GP, fault))
        return false;
    *physical = range.part[0].physical;
    return true;
}

unsigned pv_fetch(struct pv_cpu *cpu, uint64_t address, uint8_t bytes[INSTRUCTION_MAX_BYTES], struct pv_fault *fault)
{
    unsigned to_end = 4096 - (unsigned)(address % 4096), first = to_end < INSTRUCTION_MAX_BYTES ? to_end
                                                                                              : INSTRUCTION_MAX_BYTES;
    struct pv_fault beyond;
    uint64_t physical;
    const void *code;

    if (!pv_code_address(cpu, address, &physical, fault))
        return 0;
    if (!(code = guest_memory_at(cpu->memory, physical, first))) {
        pv_fault_general(fault, VECTOR_GP, 0); /* no memory: a device that nobody executes */
        return 0;
    }
    memcpy(bytes, code, first);
    if (first == INSTRUCTION_MAX_BYTES || !pv_code_address(cpu, address + first, &physical, &beyond) ||
        !(code = guest_memory_at(cpu->memory, physical, INSTRUCTION_MAX_BYTES - first)))
        return first;
    memcpy(bytes + first, code, INSTRUCTION_MAX_BYTES - first);
    return INSTRUCTION_MAX_BYTES;
}
