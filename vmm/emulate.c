#include "vmm/emulate.h"

#include "vmm/alu.h"
#include "vmm/linear.h"

#include <string.h>

_Static_assert(INSTRUCTION_MAX_BYTES == WALK_CODE_BYTES, "an instruction");

/* How many elements of a repeated string instruction are done before the guest can take an interrupt. */
#define REPEAT_BATCH 64u

/* One instruction being carried out. */
struct execution {
    struct emulator *emulator;
    struct vcpu *vcpu;
    const struct instruction *instruction;
    enum code_mode mode;
    struct linear_space space;
    uint64_t physical; /* of the exit */
};

void emulator_init(struct emulator *emulator, const struct guest_memory *memory, struct bus *bus)
{
    *emulator = (struct emulator) { .memory = memory, .bus = bus };
}

const char *emulate_result_text(enum emulate_result result)
{
    switch (result) {
    case EMULATE_DONE:      return "done";
    case EMULATE_EXCEPTION: return "exception";
    case EMULATE_NO_CODE:   return "the guest's page tables do not lead to the instruction";
    case EMULATE_UNKNOWN:   return "the monitor cannot carry out this instruction on device memory";
    case EMULATE_ELSEWHERE: return "the instruction does not access that address";
    case EMULATE_PAGE_FAULT: return "its other operand is not mapped, and the kernel cannot raise that page fault";
    case EMULATE_SHUTDOWN:  return "an exception during a double fault";
    }
    return "?";
}

/* A guest outside of long mode that sets the bit for 64-bit code, which has no meaning there, deceives itself. */
static enum code_mode code_mode(struct vcpu *vcpu)
{
    if (vcpu_get(vcpu, VCPU_RIP) >> 32 != 0)
        return CODE_64;

    uint64_t access = vcpu_get(vcpu, VCPU_SEGMENT(VCPU_CS, VCPU_ACCESS));
    if (access & ACCESS_LONG)
        return CODE_64;
    if (!(vcpu_get(vcpu, VCPU_CR0) & CR0_PE))
        return CODE_REAL;
    return access & ACCESS_DB ? CODE_32 : CODE_16;
}

/* The linear address of OFFSET in a segment; in 64-bit code only FS and GS have a base. */
static uint64_t segment_address(struct execution *e, unsigned segment, uint64_t offset)
{
    if (e->mode == CODE_64)
        return segment == VCPU_FS || segment == VCPU_GS
                   ? vcpu_get(e->vcpu, VCPU_SEGMENT(segment, VCPU_BASE)) + offset : offset;
    return (vcpu_get(e->vcpu, VCPU_SEGMENT(segment, VCPU_BASE)) + offset) & UINT32_MAX;
}

/* The bytes at rip; fewer than INSTRUCTION_MAX_BYTES where the guest has no more there. */
static unsigned fetch(struct execution *e)
{
    unsigned length = walk_fetch_code(&e->space.walk, segment_address(e, VCPU_CS, vcpu_get(e->vcpu, VCPU_RIP)),
                                      e->emulator->bytes);

    e->emulator->length = (uint8_t)length;
    return length;
}

static bool decode(struct execution *e, unsigned length)
{
    struct emulator *emulator = e->emulator;
    uint64_t rip = vcpu_get(e->vcpu, VCPU_RIP);
    typeof(&emulator->cached[0]) cached = &emulator->cached[(rip ^ rip >> 4) % EMULATOR_CACHED];

    e->instruction = &cached->instruction;
    if (cached->valid && cached->mode == e->mode && cached->instruction.length <= length &&
        memcmp(cached->bytes, emulator->bytes, cached->instruction.length) == 0)
        return true;
    cached->valid = instruction_decode(&cached->instruction, e->mode, emulator->bytes, length);
    cached->mode = e->mode;
    memcpy(cached->bytes, emulator->bytes, length);
    return cached->valid;
}

static uint64_t read_register(struct vcpu *vcpu, unsigned reg, unsigned size, bool high_byte)
{
    uint64_t value = vcpu_get(vcpu, (enum vcpu_register)reg);
    return (high_byte ? value >> 8 : value) & alu_mask(size);
}

/* Parts of 1 and 2 bytes leave the rest of the register alone, those of 4 bytes clear it. */
static void write_register(struct vcpu *vcpu, unsigned reg, unsigned size, bool high_byte, uint64_t value)
{
    uint64_t mask = size == 4 ? UINT64_MAX : alu_mask(size) << (high_byte ? 8 : 0);
    uint64_t part = (value & alu_mask(size)) << (high_byte ? 8 : 0);
    uint64_t rest = mask == UINT64_MAX ? 0 : vcpu_get(vcpu, (enum vcpu_register)reg) & ~mask;

    vcpu_set(vcpu, (enum vcpu_register)reg, rest | part);
}

static uint64_t sign_extended(uint64_t value, unsigned size)
{
    unsigned unused = 64 - size * 8;
    return (uint64_t)((int64_t)(value << unused) >> unused);
}

static enum emulate_result raise(struct execution *e, uint8_t vector, uint32_t error)
{
    return vcpu_raise(e->vcpu, vector, true, error) ? EMULATE_EXCEPTION : EMULATE_SHUTDOWN;
}

/* The operand's bytes, where they are or why not. */
static enum emulate_result locate(struct execution *e, uint64_t address, unsigned size, enum walk_access access,
                                  struct linear_range *range)
{
    uint32_t error;

    switch (linear_translate(&e->space, address, size, access, range, &error)) {
    case WALK_OK:
        return EMULATE_DONE;
    case WALK_PAGE_FAULT:
        if (!e->vcpu->operations->has_cr2)
            return EMULATE_PAGE_FAULT;
        vcpu_set(e->vcpu, VCPU_CR2, address);
        return raise(e, VECTOR_PF, error);
    case WALK_NOT_CANONICAL:
        return raise(e, VECTOR_GP, 0);
    default:
        return EMULATE_ELSEWHERE;
    }
}

static uint64_t effective_address(struct execution *e)
{
    const struct instruction *i = e->instruction;
    uint64_t offset = (uint64_t)i->displacement;

    if (i->base == VCPU_RIP)
        offset += vcpu_get(e->vcpu, VCPU_RIP) + i->length;
    else if (i->base != NO_REGISTER)
        offset += vcpu_get(e->vcpu, i->base);
    if (i->index != NO_REGISTER)
        offset += vcpu_get(e->vcpu, i->index) * i->scale;
    /* A bit number in a register reaches beyond the operand (SDM 2A 3.1.1.9). */
    if (i->operation >= OPERATION_BT && i->operation <= OPERATION_BTC && i->other == OPERAND_REGISTER) {
        int64_t bit = (int64_t)sign_extended(vcpu_get(e->vcpu, i->reg), i->reg_size);
        int64_t bits = i->size * 8;
        offset += (uint64_t)((bit - (bit & (bits - 1))) / 8);
    }
    return segment_address(e, i->segment, offset & alu_mask(i->address_size));
}

/* XCHG, XADD, CMPXCHG: memory and a register get something. The result for memory. */
static uint64_t exchange(struct execution *e, uint64_t memory, uint64_t other, uint64_t *rflags)
{
    const struct instruction *i = e->instruction;
    uint64_t result = other;
    bool stores;

    if (i->operation == OPERATION_CMPXCHG) {
        uint64_t expected = read_register(e->vcpu, VCPU_RAX, i->size, false);

        alu_compute(OPERATION_CMP, i->size, expected, memory, rflags, &stores);
        if (expected == memory)
            return other;
        write_register(e->vcpu, VCPU_RAX, i->size, false, memory);
        return memory;
    }
    if (i->operation == OPERATION_XADD)
        result = alu_compute(OPERATION_ADD, i->size, memory, other, rflags, &stores);
    write_register(e->vcpu, i->reg, i->reg_size, i->high_byte, memory);
    return result;
}

/* What the instruction makes of its operands. *STORES: the first one gets it. */
static uint64_t compute(struct execution *e, uint64_t memory, uint64_t other, uint64_t *rflags, bool *stores)
{
    const struct instruction *i = e->instruction;

    *stores = true;
    switch (i->operation) {
    case OPERATION_MOV:
        return i->to_memory ? other : memory;
    case OPERATION_MOVZX:
        return memory;
    case OPERATION_MOVSX:
        return sign_extended(memory, i->size);
    case OPERATION_XCHG:
    case OPERATION_XADD:
    case OPERATION_CMPXCHG:
        return exchange(e, memory, other, rflags);
    default:
        return i->to_memory ? alu_compute(i->operation, i->size, memory, other, rflags, stores)
                            : alu_compute(i->operation, i->size, other, memory, rflags, stores);
    }
}

/* The access was the CPU's own before it exited, so that the guest's page tables have allowed it. */
static enum emulate_result execute_operands(struct execution *e)
{
    const struct instruction *i = e->instruction;
    bool exchanges = i->operation >= OPERATION_XCHG && i->operation <= OPERATION_CMPXCHG, stores;
    uint64_t memory = 0, other = i->immediate, rflags = vcpu_get(e->vcpu, VCPU_RFLAGS), rflags_before = rflags;
    struct linear_range range;

    enum emulate_result located = locate(e, effective_address(e), i->size, WALK_PRESENT, &range);
    if (located != EMULATE_DONE)
        return located;
    if (!linear_touches(&range, e->physical))
        return EMULATE_ELSEWHERE;
    if (!(i->operation == OPERATION_MOV && i->to_memory))
        memory = linear_load(&e->space, &range);
    if (i->other == OPERAND_REGISTER)
        other = read_register(e->vcpu, i->reg, i->reg_size, i->high_byte);

    uint64_t result = compute(e, memory, other, &rflags, &stores);
    if (stores && (i->to_memory || exchanges)) /* XCHG has its operands in either order */
        linear_store(&e->space, &range, result);
    else if (stores)
        write_register(e->vcpu, i->reg, i->reg_size, i->high_byte, result);
    if (rflags != rflags_before)
        vcpu_set(e->vcpu, VCPU_RFLAGS, rflags);
    vcpu_skip(e->vcpu, i->length);
    return EMULATE_DONE;
}

static void step_register(struct execution *e, unsigned reg, uint64_t by)
{
    unsigned size = e->instruction->address_size;

    write_register(e->vcpu, reg, size, false, vcpu_get(e->vcpu, (enum vcpu_register)reg) + by);
}

/* One element of MOVS, STOS or LODS. FIRST: the one that the CPU began with, which must touch the exit's address. */
static enum emulate_result execute_element(struct execution *e, bool first)
{
    const struct instruction *i = e->instruction;
    uint64_t step = vcpu_get(e->vcpu, VCPU_RFLAGS) & RFLAGS_DF ? -(uint64_t)i->size : i->size;
    uint64_t mask = alu_mask(i->address_size), value;
    struct linear_range source, destination;
    enum emulate_result located;
    bool touches = false;

    if (i->operation != OPERATION_STOS) {
        uint64_t offset = vcpu_get(e->vcpu, VCPU_RSI) & mask;

        located = locate(e, segment_address(e, i->segment, offset), i->size, WALK_READ, &source);
        if (located != EMULATE_DONE)
            return located;
        touches = linear_touches(&source, e->physical);
    }
    if (i->operation != OPERATION_LODS) {
        uint64_t offset = vcpu_get(e->vcpu, VCPU_RDI) & mask;

        located = locate(e, segment_address(e, VCPU_ES, offset), i->size, WALK_WRITE, &destination);
        if (located != EMULATE_DONE)
            return located;
        touches |= linear_touches(&destination, e->physical);
    }
    if (first && !touches)
        return EMULATE_ELSEWHERE;

    value = i->operation == OPERATION_STOS ? read_register(e->vcpu, VCPU_RAX, i->size, false)
                                           : linear_load(&e->space, &source);
    if (i->operation == OPERATION_LODS)
        write_register(e->vcpu, VCPU_RAX, i->size, false, value);
    else
        linear_store(&e->space, &destination, value);
    if (i->operation != OPERATION_STOS)
        step_register(e, VCPU_RSI, step);
    if (i->operation != OPERATION_LODS)
        step_register(e, VCPU_RDI, step);
    return EMULATE_DONE;
}

static enum emulate_result execute_string(struct execution *e)
{
    const struct instruction *i = e->instruction;
    enum emulate_result result = EMULATE_DONE;

    if (!i->repeated) {
        result = execute_element(e, true);
        if (result == EMULATE_DONE)
            vcpu_skip(e->vcpu, i->length);
        return result;
    }
    for (unsigned done = 0; done < REPEAT_BATCH && result == EMULATE_DONE; done++) {
        if (read_register(e->vcpu, VCPU_RCX, i->address_size, false) == 0)
            break;
        result = execute_element(e, done == 0);
        if (result == EMULATE_DONE)
            step_register(e, VCPU_RCX, UINT64_MAX);
    }
    if (result == EMULATE_DONE && read_register(e->vcpu, VCPU_RCX, i->address_size, false) == 0)
        vcpu_skip(e->vcpu, i->length);
    return result;
}

enum emulate_result emulate_memory_access(struct emulator *emulator, struct vcpu *vcpu, uint64_t physical)
{
    struct execution e = { .emulator = emulator, .vcpu = vcpu, .mode = code_mode(vcpu), .physical = physical };

    walk_begin(&e.space.walk, vcpu, emulator->memory);
    e.space.bus = emulator->bus;
    unsigned length = fetch(&e);
    if (length == 0)
        return EMULATE_NO_CODE;
    if (!decode(&e, length))
        return EMULATE_UNKNOWN;
    switch (e.instruction->operation) {
    case OPERATION_MOVS:
    case OPERATION_STOS:
    case OPERATION_LODS:
        return execute_string(&e);
    default:
        return execute_operands(&e);
    }
}
