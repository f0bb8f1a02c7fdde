#include "vmm/pv/privileged.h"

#include "vmm/pv/deliver.h"
#include "vmm/pv/privileged_parts.h"

#define DR6_CAUSES UINT64_C(0xe00f) /* B0 to B3, BD, BS, BT */

static uint64_t address_mask(unsigned size)
{
    return size == 8 ? UINT64_MAX : (UINT64_C(1) << size * 8) - 1;
}

uint64_t operand_address(const struct privileged *p)
{
    const struct privileged_instruction *i = p->instruction;
    uint64_t offset = (uint64_t)i->displacement;

    if (i->base == VCPU_RIP)
        offset += vcpu_get(p->vcpu, VCPU_RIP) + i->length;
    else if (i->base != NO_REGISTER)
        offset += vcpu_get(p->vcpu, i->base);
    if (i->index != NO_REGISTER)
        offset += vcpu_get(p->vcpu, i->index) * i->scale;
    offset &= address_mask(i->address_size);
    if (i->segment == VCPU_FS || i->segment == VCPU_GS)
        offset += vcpu_get(p->vcpu, VCPU_SEGMENT(i->segment, VCPU_BASE));
    return offset;
}

/* An operand that goes by the stack pointer is in the stack segment, which tells in the exception (SDM 1 3.7.4). */
static bool is_on_stack(const struct privileged_instruction *i)
{
    return i->segment == VCPU_SS || ((i->base == VCPU_RSP || i->base == VCPU_RBP) && i->segment == VCPU_DS);
}

bool operand_load(struct privileged *p, unsigned offset, unsigned size, uint64_t *value)
{
    uint64_t address = operand_address(p) + offset;

    return is_on_stack(p->instruction)
               ? pv_read_stack(p->cpu, address, size, pv_access_at(p->cpl), value, &p->fault)
               : pv_read(p->cpu, address, size, pv_access_at(p->cpl), value, &p->fault);
}

bool operand_store(struct privileged *p, unsigned offset, unsigned size, uint64_t value)
{
    uint64_t address = operand_address(p) + offset;

    return is_on_stack(p->instruction)
               ? pv_write_stack(p->cpu, address, size, pv_access_at(p->cpl), value, &p->fault)
               : pv_write(p->cpu, address, size, pv_access_at(p->cpl), value, &p->fault);
}

void set_register(struct vcpu *vcpu, unsigned reg, unsigned size, uint64_t value)
{
    uint64_t mask = size == 2 ? UINT16_MAX : size == 4 ? UINT32_MAX : UINT64_MAX;
    uint64_t rest = size == 2 ? vcpu_get(vcpu, reg) & ~mask : 0;

    vcpu_set(vcpu, reg, rest | (value & mask));
}

bool selector_load(struct privileged *p, uint16_t *selector)
{
    uint64_t value;

    if (!p->instruction->is_memory)
        value = vcpu_get(p->vcpu, p->instruction->reg);
    else if (!operand_load(p, 0, 2, &value))
        return false;
    *selector = (uint16_t)value;
    return true;
}

bool selector_store(struct privileged *p, uint64_t value)
{
    if (p->instruction->is_memory)
        return operand_store(p, 0, 2, value & UINT16_MAX);
    set_register(p->vcpu, p->instruction->reg, p->instruction->operand_size, value);
    return true;
}

void finish_instruction(struct privileged *p)
{
    vcpu_skip(p->vcpu, p->instruction->length);
}

static enum privileged_step interrupt(struct privileged *p)
{
    enum deliver_software how = p->instruction->operation == PRIVILEGED_INT1 ? DELIVER_INT1 : DELIVER_INT_N;
    uint8_t vector = how == DELIVER_INT1 ? VECTOR_DB : (uint8_t)p->instruction->immediate;

    return deliver_software_interrupt(p->cpu, vector, how, p->instruction->length) ? STEP_ELSEWHERE : STEP_SHUTDOWN;
}

static enum privileged_step read_tsc(struct privileged *p)
{
    if (p->cpl != 0 && (vcpu_get(p->vcpu, VCPU_CR4) & CR4_TSD))
        return step_gp(p);
    if (!p->cpu->tsc)
        return step_undefined(p);
    uint64_t now = p->cpu->tsc(p->cpu->context);
    vcpu_set(p->vcpu, VCPU_RAX, now & UINT32_MAX);
    vcpu_set(p->vcpu, VCPU_RDX, now >> 32);
    return STEP_NEXT;
}

static enum privileged_step read_counter(struct privileged *p)
{
    return p->cpl != 0 && !(vcpu_get(p->vcpu, VCPU_CR4) & CR4_PCE) ? step_gp(p) : step_exit(p, VCPU_EXIT_FORBIDDEN);
}

static enum privileged_step hypercall(struct privileged *p)
{
    return step_exit(p, p->cpl == 0 ? VCPU_EXIT_HYPERCALL : VCPU_EXIT_UNDEFINED);
}

/* One that programs may not execute is a #GP(0) there, before anything else is looked at. */
static const struct {
    privileged_handler *handler;
    enum vcpu_exit_kind exit; /* without a handler */
    bool kernel_only;
} operations[PRIVILEGED_OPERATION_COUNT] = {
    [PRIVILEGED_CLI] = { .handler = privileged_cli },
    [PRIVILEGED_STI] = { .handler = privileged_sti },
    [PRIVILEGED_PUSHF] = { .handler = privileged_pushf },
    [PRIVILEGED_POPF] = { .handler = privileged_popf },
    [PRIVILEGED_IRET] = { .handler = privileged_iret },
    [PRIVILEGED_SYSRET] = { .handler = privileged_sysret },
    [PRIVILEGED_SWAPGS] = { .handler = privileged_swapgs, .kernel_only = true },
    [PRIVILEGED_RDMSR] = { .exit = VCPU_EXIT_READ_MSR, .kernel_only = true },
    [PRIVILEGED_WRMSR] = { .exit = VCPU_EXIT_WRITE_MSR, .kernel_only = true },
    [PRIVILEGED_HLT] = { .exit = VCPU_EXIT_HALT, .kernel_only = true },
    [PRIVILEGED_LGDT] = { .handler = privileged_load_table, .kernel_only = true },
    [PRIVILEGED_LIDT] = { .handler = privileged_load_table, .kernel_only = true },
    [PRIVILEGED_SGDT] = { .handler = privileged_store_table },
    [PRIVILEGED_SIDT] = { .handler = privileged_store_table },
    [PRIVILEGED_LLDT] = { .handler = privileged_lldt, .kernel_only = true },
    [PRIVILEGED_LTR] = { .handler = privileged_ltr, .kernel_only = true },
    [PRIVILEGED_SLDT] = { .handler = privileged_store_selector },
    [PRIVILEGED_STR] = { .handler = privileged_store_selector },
    [PRIVILEGED_SMSW] = { .handler = privileged_smsw },
    [PRIVILEGED_LMSW] = { .handler = privileged_lmsw, .kernel_only = true },
    [PRIVILEGED_CLTS] = { .handler = privileged_clts, .kernel_only = true },
    [PRIVILEGED_MOV_TO_CR] = { .handler = privileged_mov_cr, .kernel_only = true },
    [PRIVILEGED_MOV_FROM_CR] = { .handler = privileged_mov_cr, .kernel_only = true },
    [PRIVILEGED_MOV_TO_DR] = { .handler = privileged_mov_dr, .kernel_only = true },
    [PRIVILEGED_MOV_FROM_DR] = { .handler = privileged_mov_dr, .kernel_only = true },
    [PRIVILEGED_INVLPG] = { .handler = privileged_invlpg, .kernel_only = true },
    [PRIVILEGED_INVPCID] = { .handler = privileged_invpcid },
    [PRIVILEGED_INVALIDATE_CACHE] = { .exit = VCPU_EXIT_INVALIDATE, .kernel_only = true },
    [PRIVILEGED_IN] = { .handler = privileged_port },
    [PRIVILEGED_OUT] = { .handler = privileged_port },
    [PRIVILEGED_INS] = { .handler = privileged_port },
    [PRIVILEGED_OUTS] = { .handler = privileged_port },
    [PRIVILEGED_INT] = { .handler = interrupt },
    [PRIVILEGED_INT1] = { .handler = interrupt },
    [PRIVILEGED_MOV_TO_SEGMENT] = { .handler = privileged_mov_to_segment },
    [PRIVILEGED_MOV_FROM_SEGMENT] = { .handler = privileged_mov_from_segment },
    [PRIVILEGED_PUSH_SEGMENT] = { .handler = privileged_push_segment },
    [PRIVILEGED_POP_SEGMENT] = { .handler = privileged_pop_segment },
    [PRIVILEGED_LOAD_FAR_POINTER] = { .handler = privileged_load_far_pointer },
    [PRIVILEGED_LAR] = { .handler = privileged_lar },
    [PRIVILEGED_LSL] = { .handler = privileged_lsl },
    [PRIVILEGED_VERR] = { .handler = privileged_verify },
    [PRIVILEGED_VERW] = { .handler = privileged_verify },
    [PRIVILEGED_RET_FAR] = { .handler = privileged_ret_far },
    [PRIVILEGED_JMP_FAR] = { .handler = privileged_jmp_far },
    [PRIVILEGED_CALL_FAR] = { .handler = privileged_call_far },
    [PRIVILEGED_XSETBV] = { .handler = privileged_xsetbv },
    [PRIVILEGED_CPUID] = { .exit = VCPU_EXIT_CPUID },
    [PRIVILEGED_RDPMC] = { .handler = read_counter },
    [PRIVILEGED_RDTSC] = { .handler = read_tsc },
    [PRIVILEGED_RDTSCP] = { .exit = VCPU_EXIT_UNDEFINED }, /* not offered by CPUID */
    [PRIVILEGED_HYPERCALL] = { .handler = hypercall },
    [PRIVILEGED_UNDEFINED] = { .exit = VCPU_EXIT_UNDEFINED },
};

static enum privileged_step execute(struct privileged *p)
{
    enum privileged_operation operation = p->instruction->operation;

    p->exit->instruction_length = p->instruction->length;
    if (operations[operation].kernel_only && p->cpl != 0)
        return step_gp(p);
    if (operations[operation].handler)
        return operations[operation].handler(p);
    return step_exit(p, operations[operation].exit);
}

static enum privileged_result raise(struct pv_cpu *cpu, const struct pv_fault *fault)
{
    return pv_raise(cpu, fault) ? PRIVILEGED_DONE : PRIVILEGED_SHUTDOWN;
}

/* A program's own undefined instruction can look like a patched one. */
static bool is_genuine(struct privileged *p)
{
    struct pv_fault fault;
    uint64_t physical;

    if (!p->instruction->patched || p->cpl == 0)
        return true;
    return p->cpu->is_patched &&
           pv_code_address(p->cpu, vcpu_get(p->vcpu, VCPU_RIP) + p->instruction->opcode_offset, &physical, &fault) &&
           p->cpu->is_patched(p->cpu->context, physical);
}

/* The instruction at rip; NATIVE is what the processor made of it. */
static enum privileged_result execute_at_rip(struct pv_cpu *cpu, const struct pv_fault *native, struct vcpu_exit *exit)
{
    struct privileged p = { .cpu = cpu, .vcpu = cpu->vcpu, .cpl = pv_cpl(cpu->vcpu), .exit = exit };
    uint64_t rip = vcpu_get(cpu->vcpu, VCPU_RIP);
    uint8_t bytes[INSTRUCTION_MAX_BYTES];
    unsigned length = pv_fetch(cpu, rip, bytes, &p.fault);

    if (length == 0) /* the page has gone from the guest's tables, without an invalidation since */
        return raise(cpu, &p.fault);
    p.instruction = privileged_decode_cached(&cpu->cache, rip, bytes, length);
    if (!p.instruction || p.instruction->operation == PRIVILEGED_NONE || !is_genuine(&p))
        return raise(cpu, native);
    switch (execute(&p)) {
    case STEP_NEXT:
        finish_instruction(&p);
        return PRIVILEGED_DONE;
    case STEP_ELSEWHERE:
        return PRIVILEGED_DONE;
    case STEP_EXIT:
        return PRIVILEGED_EXIT;
    case STEP_FAULT:
        return raise(cpu, &p.fault);
    default:
        return PRIVILEGED_SHUTDOWN;
    }
}

/* INT3 and INT n of a vector that the system's own gates let through: a trap, behind the instruction. */
static enum privileged_result trap(struct pv_cpu *cpu, uint8_t vector)
{
    uint64_t rip = vcpu_get(cpu->vcpu, VCPU_RIP);
    uint8_t bytes[INSTRUCTION_MAX_BYTES];
    struct pv_fault fault;
    unsigned length = 1;

    if (pv_fetch(cpu, rip - 2, bytes, &fault) >= 2 && bytes[0] == 0xcd && bytes[1] == vector)
        length = 2;
    vcpu_set(cpu->vcpu, VCPU_RIP, rip - length);
    return deliver_software_interrupt(cpu, vector, DELIVER_INT_N, length) ? PRIVILEGED_DONE : PRIVILEGED_SHUTDOWN;
}

enum privileged_result privileged_exception(struct pv_cpu *cpu, uint8_t vector, uint32_t error, uint64_t dr6,
                                            struct vcpu_exit *exit)
{
    struct pv_fault native = { .vector = vector, .error = error };

    *exit = (struct vcpu_exit) { .kind = VCPU_EXIT_NONE };
    native.has_error = vector == VECTOR_DF || (vector >= VECTOR_TS && vector <= VECTOR_PF) || vector == VECTOR_AC;
    switch (vector) {
    case VECTOR_UD:
    case VECTOR_TS:
    case VECTOR_NP:
    case VECTOR_SS:
    case VECTOR_GP:
        return execute_at_rip(cpu, &native, exit);
    case VECTOR_BP:
    case VECTOR_OF:
        return trap(cpu, vector);
    case VECTOR_DB:
        cpu->dr6 |= dr6 & DR6_CAUSES;
        break;
    default:
        break;
    }
    return raise(cpu, &native);
}

bool privileged_page_fault(struct pv_cpu *cpu, uint64_t address, uint32_t error)
{
    const struct pv_fault fault = { .vector = VECTOR_PF, .has_error = true, .error = error, .address = address };

    return pv_raise(cpu, &fault);
}
