#include "vmm/port_io.h"

#include "vmm/alu.h"
#include "vmm/linear.h"

#define REPEAT_BATCH 64u

/* IN leaves what it does not read of rax alone, but clears its upper half as any 32-bit result does. */
static void set_accumulator(struct vcpu *vcpu, unsigned size, uint64_t value)
{
    uint64_t rest = size == 4 ? 0 : vcpu_get(vcpu, VCPU_RAX) & ~alu_mask(size);

    vcpu_set(vcpu, VCPU_RAX, rest | (value & alu_mask(size)));
}

static void set_part(struct vcpu *vcpu, enum vcpu_register reg, unsigned size, uint64_t value)
{
    uint64_t mask = size == 4 ? UINT64_MAX : alu_mask(size);

    vcpu_set(vcpu, reg, (vcpu_get(vcpu, reg) & ~mask) | (value & alu_mask(size)));
}

/* Where the memory operand of INS or OUTS lies. */
static uint64_t string_address(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    enum vcpu_register reg = exit->io.in ? VCPU_RDI : VCPU_RSI;
    uint64_t offset = vcpu_get(vcpu, reg) & alu_mask(exit->io.address_size);
    bool is_long = (vcpu_get(vcpu, VCPU_EFER) & EFER_LMA) &&
                   (vcpu_get(vcpu, VCPU_SEGMENT(VCPU_CS, VCPU_ACCESS)) & ACCESS_LONG);

    if (is_long && exit->io.segment != VCPU_FS && exit->io.segment != VCPU_GS)
        return offset;
    uint64_t address = vcpu_get(vcpu, VCPU_SEGMENT(exit->io.segment, VCPU_BASE)) + offset;
    return is_long ? address : address & UINT32_MAX;
}

enum element { ELEMENT_DONE, ELEMENT_EXCEPTION, ELEMENT_UNREACHABLE };

static enum element transfer_element(struct vcpu *vcpu, struct linear_space *space, const struct vcpu_exit *exit)
{
    struct bus_access access = { .write = !exit->io.in, .size = exit->io.size, .address = exit->io.port };
    uint64_t address = string_address(vcpu, exit);
    struct linear_range range;
    uint32_t error = 0;

    switch (linear_translate(space, address, exit->io.size, exit->io.in ? WALK_WRITE : WALK_READ, &range, &error)) {
    case WALK_OK:
        break;
    case WALK_NOT_CANONICAL:
        vcpu_raise(vcpu, VECTOR_GP, true, 0);
        return ELEMENT_EXCEPTION;
    case WALK_PAGE_FAULT:
        if (!vcpu->operations->has_cr2)
            return ELEMENT_UNREACHABLE;
        vcpu_set(vcpu, VCPU_CR2, address);
        vcpu_raise(vcpu, VECTOR_PF, true, error);
        return ELEMENT_EXCEPTION;
    default:
        return ELEMENT_UNREACHABLE;
    }

    if (!exit->io.in)
        access.value = linear_load(space, &range);
    bus_perform(space->bus, BUS_PORT, &access);
    if (exit->io.in)
        linear_store(space, &range, access.value);

    enum vcpu_register reg = exit->io.in ? VCPU_RDI : VCPU_RSI;
    uint64_t step = vcpu_get(vcpu, VCPU_RFLAGS) & RFLAGS_DF ? -(uint64_t)exit->io.size : exit->io.size;
    set_part(vcpu, reg, exit->io.address_size, vcpu_get(vcpu, reg) + step);
    return ELEMENT_DONE;
}

static enum port_io_result transfer_string(struct vcpu *vcpu, struct bus *bus, const struct guest_memory *memory,
                                           const struct vcpu_exit *exit)
{
    struct linear_space space = { .bus = bus };
    uint64_t mask = alu_mask(exit->io.address_size);
    enum element element = ELEMENT_DONE;

    walk_begin(&space.walk, vcpu, memory);
    for (unsigned done = 0; done < (exit->io.repeated ? REPEAT_BATCH : 1) && element == ELEMENT_DONE; done++) {
        if (exit->io.repeated && (vcpu_get(vcpu, VCPU_RCX) & mask) == 0)
            break;
        element = transfer_element(vcpu, &space, exit);
        if (element == ELEMENT_DONE && exit->io.repeated)
            set_part(vcpu, VCPU_RCX, exit->io.address_size, vcpu_get(vcpu, VCPU_RCX) - 1);
    }
    if (element == ELEMENT_UNREACHABLE)
        return PORT_IO_NO_MEMORY;
    if (element == ELEMENT_DONE && (!exit->io.repeated || (vcpu_get(vcpu, VCPU_RCX) & mask) == 0))
        vcpu_skip(vcpu, exit->instruction_length);
    return PORT_IO_DONE;
}

enum port_io_result port_io(struct vcpu *vcpu, struct bus *bus, const struct guest_memory *memory,
                            const struct vcpu_exit *exit)
{
    struct bus_access access = { .write = !exit->io.in, .size = exit->io.size, .address = exit->io.port };

    if (exit->io.string)
        return transfer_string(vcpu, bus, memory, exit);
    if (access.write)
        access.value = vcpu_get(vcpu, VCPU_RAX);
    bus_perform(bus, BUS_PORT, &access);
    if (!access.write)
        set_accumulator(vcpu, access.size, access.value);
    vcpu_skip(vcpu, exit->instruction_length);
    return PORT_IO_DONE;
}
