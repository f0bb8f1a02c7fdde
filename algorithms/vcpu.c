#include "algorithms/vcpu.h"

#include <string.h>

void vcpu_init(struct vcpu *vcpu, const struct vcpu_operations *operations, void *context)
{
    memset(vcpu, 0, sizeof *vcpu);
    vcpu->operations = operations;
    vcpu->context = context;
}

uint64_t vcpu_fetch(struct vcpu *vcpu, enum vcpu_register reg)
{
    vcpu_provide(vcpu, reg, vcpu->operations->read(vcpu->context, reg));
    return vcpu->value[reg];
}

void vcpu_provide(struct vcpu *vcpu, enum vcpu_register reg, uint64_t value)
{
    vcpu->value[reg] = value;
    vcpu->valid[VCPU_MASK_WORD(reg)] |= VCPU_MASK_BIT(reg);
    vcpu->dirty[VCPU_MASK_WORD(reg)] &= ~VCPU_MASK_BIT(reg);
}

void vcpu_forget_all(struct vcpu *vcpu)
{
    for (unsigned i = 0; i < VCPU_MASK_WORDS; i++)
        vcpu->valid[i] = vcpu->dirty[i];
}

void vcpu_write_back(struct vcpu *vcpu)
{
    for (unsigned i = 0; i < VCPU_MASK_WORDS; i++) {
        while (vcpu->dirty[i] != 0) {
            unsigned bit = (unsigned)__builtin_ctzll(vcpu->dirty[i]);
            enum vcpu_register reg = (enum vcpu_register)(i * 64 + bit);

            vcpu->dirty[i] &= vcpu->dirty[i] - 1;
            vcpu->operations->write(vcpu->context, reg, vcpu->value[reg]);
        }
    }
}

/* SDM 3A table 6-4. */
static bool is_contributory(uint8_t vector)
{
    return vector == 0 || (vector >= VECTOR_TS && vector <= VECTOR_GP);
}

static void set_exception(struct vcpu *vcpu, uint8_t vector, bool has_error, uint32_t error)
{
    vcpu->exception = (struct vcpu_exception) {
        .pending = true, .vector = vector, .has_error = has_error, .error = error,
    };
}

bool vcpu_raise(struct vcpu *vcpu, uint8_t vector, bool has_error, uint32_t error)
{
    uint8_t first = vcpu->exception.vector;

    if (!vcpu->exception.pending) {
        set_exception(vcpu, vector, has_error, error);
        return true;
    }
    if (first == VECTOR_DF && (is_contributory(vector) || vector == VECTOR_PF))
        return false;
    /* SDM 3A table 6-5: two that cannot be handled one after the other. */
    if ((is_contributory(first) && is_contributory(vector)) ||
        (first == VECTOR_PF && (is_contributory(vector) || vector == VECTOR_PF)))
        set_exception(vcpu, VECTOR_DF, true, 0);
    else
        set_exception(vcpu, vector, has_error, error); /* the first comes again when its instruction does */
    return true;
}

void vcpu_pend(struct vcpu *vcpu, uint8_t vector)
{
    vcpu->pending[vector / 64] |= UINT64_C(1) << (vector % 64);
}

void vcpu_unpend(struct vcpu *vcpu, uint8_t vector)
{
    vcpu->pending[vector / 64] &= ~(UINT64_C(1) << (vector % 64));
}

int vcpu_highest_pending(const struct vcpu *vcpu)
{
    for (int i = 3; i >= 0; i--)
        if (vcpu->pending[i] != 0)
            return i * 64 + 63 - __builtin_clzll(vcpu->pending[i]);
    return -1;
}

void vcpu_skip(struct vcpu *vcpu, unsigned instruction_length)
{
    uint64_t blocked = vcpu_get(vcpu, VCPU_INTERRUPTIBILITY);
    uint64_t start = vcpu_get(vcpu, VCPU_RIP), rip = start + instruction_length;

    /* Outside of 64-bit code the instruction pointer has 32 bits and wraps around. */
    if ((start ^ rip) >> 32 != 0 && start >> 32 == 0 &&
        !(vcpu_get(vcpu, VCPU_SEGMENT(VCPU_CS, VCPU_ACCESS)) & ACCESS_LONG))
        rip &= UINT32_MAX;
    vcpu_set(vcpu, VCPU_RIP, rip);
    if (blocked & (VCPU_BLOCKED_BY_STI | VCPU_BLOCKED_BY_MOV_SS))
        vcpu_set(vcpu, VCPU_INTERRUPTIBILITY,
                 blocked & ~(uint64_t)(VCPU_BLOCKED_BY_STI | VCPU_BLOCKED_BY_MOV_SS));
    /* A single-stepped instruction ends in a debug exception, whoever carried it out. */
    if (vcpu_get(vcpu, VCPU_RFLAGS) & RFLAGS_TF)
        vcpu_set(vcpu, VCPU_PENDING_DEBUG, vcpu_get(vcpu, VCPU_PENDING_DEBUG) | VCPU_PENDING_DEBUG_STEP);
}

static const char *const register_name[] = {
    [VCPU_RAX] = "rax", [VCPU_RCX] = "rcx", [VCPU_RDX] = "rdx", [VCPU_RBX] = "rbx",
    [VCPU_RSP] = "rsp", [VCPU_RBP] = "rbp", [VCPU_RSI] = "rsi", [VCPU_RDI] = "rdi",
    [VCPU_R8] = "r8", [VCPU_R9] = "r9", [VCPU_R10] = "r10", [VCPU_R11] = "r11",
    [VCPU_R12] = "r12", [VCPU_R13] = "r13", [VCPU_R14] = "r14", [VCPU_R15] = "r15",
    [VCPU_RIP] = "rip", [VCPU_RFLAGS] = "rflags",
    [VCPU_CR0] = "cr0", [VCPU_CR2] = "cr2", [VCPU_CR3] = "cr3", [VCPU_CR4] = "cr4",
    [VCPU_XCR0] = "xcr0", [VCPU_DR7] = "dr7", [VCPU_EFER] = "efer", [VCPU_PAT] = "pat",
    [VCPU_STAR] = "star", [VCPU_LSTAR] = "lstar", [VCPU_CSTAR] = "cstar", [VCPU_FMASK] = "fmask",
    [VCPU_KERNEL_GS_BASE] = "kernel_gs_base",
    [VCPU_SYSENTER_CS] = "sysenter_cs", [VCPU_SYSENTER_ESP] = "sysenter_esp", [VCPU_SYSENTER_EIP] = "sysenter_eip",
    [VCPU_GDTR_BASE] = "gdtr.base", [VCPU_GDTR_LIMIT] = "gdtr.limit",
    [VCPU_IDTR_BASE] = "idtr.base", [VCPU_IDTR_LIMIT] = "idtr.limit",
    [VCPU_PDPTE0] = "pdpte0", [VCPU_PDPTE1] = "pdpte1", [VCPU_PDPTE2] = "pdpte2", [VCPU_PDPTE3] = "pdpte3",
    [VCPU_INTERRUPTIBILITY] = "interruptibility", [VCPU_PENDING_DEBUG] = "pending_debug",
#define SEGMENT_NAMES(segment, name) \
    [VCPU_SEGMENT(segment, VCPU_SELECTOR)] = name, [VCPU_SEGMENT(segment, VCPU_BASE)] = name ".base", \
    [VCPU_SEGMENT(segment, VCPU_LIMIT)] = name ".limit", [VCPU_SEGMENT(segment, VCPU_ACCESS)] = name ".access"
    SEGMENT_NAMES(VCPU_ES, "es"), SEGMENT_NAMES(VCPU_CS, "cs"), SEGMENT_NAMES(VCPU_SS, "ss"),
    SEGMENT_NAMES(VCPU_DS, "ds"), SEGMENT_NAMES(VCPU_FS, "fs"), SEGMENT_NAMES(VCPU_GS, "gs"),
    SEGMENT_NAMES(VCPU_LDTR, "ldtr"), SEGMENT_NAMES(VCPU_TR, "tr"),
};

_Static_assert(sizeof register_name / sizeof register_name[0] == VCPU_REGISTER_COUNT, "every register has a name");

const char *vcpu_register_name(enum vcpu_register reg)
{
    return (unsigned)reg < VCPU_REGISTER_COUNT ? register_name[reg] : "?";
}

static const char *const exit_name[] = {
    [VCPU_EXIT_NONE] = "notification", [VCPU_EXIT_IO] = "port", [VCPU_EXIT_MEMORY] = "memory",
    [VCPU_EXIT_CPUID] = "cpuid", [VCPU_EXIT_READ_MSR] = "rdmsr", [VCPU_EXIT_WRITE_MSR] = "wrmsr",
    [VCPU_EXIT_CONTROL_REGISTER] = "control register", [VCPU_EXIT_DEBUG_REGISTER] = "debug register",
    [VCPU_EXIT_XSETBV] = "xsetbv", [VCPU_EXIT_HALT] = "hlt", [VCPU_EXIT_INTERRUPT_WINDOW] = "interrupt window",
    [VCPU_EXIT_INVALIDATE] = "cache flush", [VCPU_EXIT_HYPERCALL] = "hypercall",
    [VCPU_EXIT_UNDEFINED] = "undefined instruction", [VCPU_EXIT_FORBIDDEN] = "forbidden instruction",
    [VCPU_EXIT_EXCEPTION] = "exception", [VCPU_EXIT_PAUSE] = "pause", [VCPU_EXIT_TRIPLE_FAULT] = "triple fault",
    [VCPU_EXIT_INIT] = "init signal",
    [VCPU_EXIT_TASK_SWITCH] = "task switch", [VCPU_EXIT_BAD_STATE] = "bad state", [VCPU_EXIT_UNKNOWN] = "unknown",
};

_Static_assert(sizeof exit_name / sizeof exit_name[0] == VCPU_EXIT_KIND_COUNT, "every kind of exit has a name");

const char *vcpu_exit_name(enum vcpu_exit_kind kind)
{
    return (unsigned)kind < VCPU_EXIT_KIND_COUNT ? exit_name[kind] : "?";
}
