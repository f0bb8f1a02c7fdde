/* The general registers in the message of seL4_VMEnter: both kinds of hardware virtualization have them at the same place,
 * in the order of seL4_VCPUContext. rsp is not among them. Inline, since every exit does it. */
#pragma once

#include "algorithms/vcpu.h"

#include <sel4/sel4.h>

#define VMENTER_GPRS (UINT64_C(0xffff) & ~VCPU_MASK_BIT(VCPU_RSP))

static inline void vmenter_give_registers(const struct vcpu *vcpu, seL4_VCPUContext *registers)
{
    const uint64_t *value = vcpu->value;

    registers->eax = value[VCPU_RAX];
    registers->ebx = value[VCPU_RBX];
    registers->ecx = value[VCPU_RCX];
    registers->edx = value[VCPU_RDX];
    registers->esi = value[VCPU_RSI];
    registers->edi = value[VCPU_RDI];
    registers->ebp = value[VCPU_RBP];
    registers->r8 = value[VCPU_R8];
    registers->r9 = value[VCPU_R9];
    registers->r10 = value[VCPU_R10];
    registers->r11 = value[VCPU_R11];
    registers->r12 = value[VCPU_R12];
    registers->r13 = value[VCPU_R13];
    registers->r14 = value[VCPU_R14];
    registers->r15 = value[VCPU_R15];
}

/* The caller makes them valid. */
static inline void vmenter_take_registers(struct vcpu *vcpu, const seL4_Word *mr)
{
    uint64_t *value = vcpu->value;

    value[VCPU_RAX] = mr[SEL4_VMENTER_FAULT_EAX];
    value[VCPU_RBX] = mr[SEL4_VMENTER_FAULT_EBX];
    value[VCPU_RCX] = mr[SEL4_VMENTER_FAULT_ECX];
    value[VCPU_RDX] = mr[SEL4_VMENTER_FAULT_EDX];
    value[VCPU_RSI] = mr[SEL4_VMENTER_FAULT_ESI];
    value[VCPU_RDI] = mr[SEL4_VMENTER_FAULT_EDI];
    value[VCPU_RBP] = mr[SEL4_VMENTER_FAULT_EBP];
    value[VCPU_R8] = mr[SEL4_VMENTER_FAULT_R8];
    value[VCPU_R9] = mr[SEL4_VMENTER_FAULT_R9];
    value[VCPU_R10] = mr[SEL4_VMENTER_FAULT_R10];
    value[VCPU_R11] = mr[SEL4_VMENTER_FAULT_R11];
    value[VCPU_R12] = mr[SEL4_VMENTER_FAULT_R12];
    value[VCPU_R13] = mr[SEL4_VMENTER_FAULT_R13];
    value[VCPU_R14] = mr[SEL4_VMENTER_FAULT_R14];
    value[VCPU_R15] = mr[SEL4_VMENTER_FAULT_R15];
}
