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

/* A string form being carried out. */
struct string_io {
    struct vcpu *vcpu;
    const struct vcpu_exit *exit;
    struct linear_space space;
    bool is_long;
    uint8_t address_size;
};

static void begin_string(struct string_io *io, struct vcpu *vcpu, struct bus *bus, const struct guest_memory *memory,
                         const struct vcpu_exit *exit)
{
    uint64_t code = vcpu_get(vcpu, VCPU_SEGMENT(VCPU_CS, VCPU_ACCESS));

    *io = (struct string_io) { .vcpu = vcpu, .exit = exit, .space = { .bus = bus } };
    io->is_long = (code & ACCESS_LONG) && (vcpu_get(vcpu, VCPU_EFER) & EFER_LMA);
    io->address_size = exit->io.address_size;
    if (io->address_size == 0) /* not every emulator of AMD-V tells; then it is the usual one */
        io->address_size = io->is_long ? 8 : code & ACCESS_DB ? 4 : 2;
    walk_begin(&io->space.walk, vcpu, memory);
}

/* Where the memory operand lies. */
static uint64_t string_address(const struct string_io *io)
{
    struct vcpu *vcpu = io->vcpu;
    unsigned segment = io->exit->io.segment;
    uint64_t offset = vcpu_get(vcpu, io->exit->io.in ? VCPU_RDI : VCPU_RSI) & alu_mask(io->address_size);

    if (io->is_long && segment != VCPU_FS && segment != VCPU_GS)
        return offset;
    uint64_t address = vcpu_get(vcpu, VCPU_SEGMENT(segment, VCPU_BASE)) + offset;
    return io->is_long ? address : address & UINT32_MAX;
}

enum element { ELEMENT_DONE, ELEMENT_EXCEPTION, ELEMENT_UNREACHABLE };

static enum element transfer_element(struct string_io *io)
{
    struct vcpu *vcpu = io->vcpu;
    bool in = io->exit->io.in;
    uint8_t size = io->exit->io.size;
    struct bus_access access = { .write = !in, .size = size, .address = io->exit->io.port };
    uint64_t address = string_address(io);
    struct linear_range range;
    uint32_t error = 0;

    switch (linear_translate(&io->space, address, size, in ? WALK_WRITE : WALK_READ, &range, &error)) {
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

    if (!in)
        access.value = linear_load(&io->space, &range);
    bus_perform(io->space.bus, BUS_PORT, &access);
    if (in)
        linear_store(&io->space, &range, access.value);

    enum vcpu_register reg = in ? VCPU_RDI : VCPU_RSI;
    uint64_t step = vcpu_get(vcpu, VCPU_RFLAGS) & RFLAGS_DF ? -(uint64_t)size : size;
    set_part(vcpu, reg, io->address_size, vcpu_get(vcpu, reg) + step);
    return ELEMENT_DONE;
}

static enum port_io_result transfer_string(struct string_io *io)
{
    struct vcpu *vcpu = io->vcpu;
    bool repeated = io->exit->io.repeated;
    uint64_t mask = alu_mask(io->address_size);
    enum element element = ELEMENT_DONE;

    for (unsigned done = 0; done < (repeated ? REPEAT_BATCH : 1) && element == ELEMENT_DONE; done++) {
        if (repeated && (vcpu_get(vcpu, VCPU_RCX) & mask) == 0)
            break;
        element = transfer_element(io);
        if (element == ELEMENT_DONE && repeated)
            set_part(vcpu, VCPU_RCX, io->address_size, vcpu_get(vcpu, VCPU_RCX) - 1);
    }
    if (element == ELEMENT_UNREACHABLE)
        return PORT_IO_NO_MEMORY;
    if (element == ELEMENT_DONE && (!repeated || (vcpu_get(vcpu, VCPU_RCX) & mask) == 0))
        vcpu_skip(vcpu, io->exit->instruction_length);
    return PORT_IO_DONE;
}

enum port_io_result port_io(struct vcpu *vcpu, struct bus *bus, const struct guest_memory *memory,
                            const struct vcpu_exit *exit)
{
    struct bus_access access = { .write = !exit->io.in, .size = exit->io.size, .address = exit->io.port };

    if (exit->io.string) {
        struct string_io io;

        begin_string(&io, vcpu, bus, memory, exit);
        return transfer_string(&io);
    }
    if (access.write)
        access.value = vcpu_get(vcpu, VCPU_RAX);
    bus_perform(bus, BUS_PORT, &access);
    if (!access.write)
        set_accumulator(vcpu, access.size, access.value);
    vcpu_skip(vcpu, exit->instruction_length);
    return PORT_IO_DONE;
}
