/* What the files that carry out instructions share; nothing else includes it. */
#pragma once

#include "vmm/pv/descriptor.h"
#include "vmm/pv/privileged.h"

/* One instruction being carried out. */
struct privileged {
    struct pv_cpu *cpu;
    struct vcpu *vcpu;
    const struct privileged_instruction *instruction;
    unsigned cpl;
    struct vcpu_exit *exit;
    struct pv_fault fault;
};

/* How it went. Registers and memory are unchanged unless it went on. */
enum privileged_step {
    STEP_NEXT,     /* done: on to the next instruction */
    STEP_ELSEWHERE, /* done, and rip is where the guest goes on */
    STEP_EXIT,     /* exit->kind is set */
    STEP_FAULT,    /* the fault is set */
    STEP_SHUTDOWN,
};

typedef enum privileged_step privileged_handler(struct privileged *p);

static inline enum privileged_step step_general(struct privileged *p, uint8_t vector, uint32_t error)
{
    pv_fault_general(&p->fault, vector, error);
    return STEP_FAULT;
}

static inline enum privileged_step step_gp(struct privileged *p)
{
    return step_general(p, VECTOR_GP, 0);
}

static inline enum privileged_step step_undefined(struct privileged *p)
{
    pv_fault_undefined(&p->fault);
    return STEP_FAULT;
}

static inline enum privileged_step step_exit(struct privileged *p, enum vcpu_exit_kind kind)
{
    p->exit->kind = kind;
    return STEP_EXIT;
}

/* The linear address of the memory operand. */
uint64_t operand_address(const struct privileged *p);

/* SIZE bytes of the memory operand, OFFSET bytes into it. */
bool operand_load(struct privileged *p, unsigned offset, unsigned size, uint64_t *value);
bool operand_store(struct privileged *p, unsigned offset, unsigned size, uint64_t value);

/* A register of 16, 32 or 64 bits: 32 clear the upper half. */
void set_register(struct vcpu *vcpu, unsigned reg, unsigned size, uint64_t value);

/* 16 bits from register or memory; and to them, where a register gets the operand size. */
bool selector_load(struct privileged *p, uint16_t *selector);
bool selector_store(struct privileged *p, uint64_t value);

/* Past the instruction, before what it does to the flags: a single step counts that was asked for before. */
void finish_instruction(struct privileged *p);

privileged_handler
    privileged_pushf, privileged_popf, privileged_cli, privileged_sti, /* privileged_flags.c */
    privileged_iret, privileged_ret_far, privileged_jmp_far, privileged_call_far, /* privileged_transfer.c */
    privileged_sysret, privileged_swapgs,
    privileged_mov_to_segment, privileged_mov_from_segment, privileged_push_segment, /* privileged_segments.c */
    privileged_pop_segment, privileged_load_far_pointer, privileged_lar, privileged_lsl, privileged_verify,
    privileged_load_table, privileged_store_table, privileged_lldt, privileged_ltr, privileged_store_selector,
    privileged_smsw, privileged_lmsw, privileged_clts, privileged_mov_cr, privileged_mov_dr, /* privileged_control.c */
    privileged_invlpg, privileged_invpcid, privileged_xsetbv,
    privileged_port; /* privileged_port.c */
