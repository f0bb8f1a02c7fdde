#include "vmm/svm/registers.h"

#include <sel4/vmcb.h>

#define ACCESS_LOW      0xffu   /* type, S, DPL, P */
#define ACCESS_HIGH     0xf000u /* AVL, L, D/B, G */
#define ACCESS_PRESENT  0x80u
#define ACCESS_UNUSABLE 0x10000u
#define HIGH_SHIFT      4

#define SEGMENT(segment, field) \
    [VCPU_SEGMENT(segment, VCPU_SELECTOR)] = (field) + VMCB_SELECTOR, \
    [VCPU_SEGMENT(segment, VCPU_BASE)] = (field) + VMCB_BASE, \
    [VCPU_SEGMENT(segment, VCPU_LIMIT)] = (field) + VMCB_LIMIT, \
    [VCPU_SEGMENT(segment, VCPU_ACCESS)] = (field) + VMCB_ATTRIBUTES

/* 0: nowhere; the field at offset 0 is no register. */
static const uint16_t place_of[VCPU_REGISTER_COUNT] = {
    [VCPU_RSP] = VMCB_RSP,
    [VCPU_RIP] = VMCB_RIP,
    [VCPU_RFLAGS] = VMCB_RFLAGS,
    [VCPU_CR0] = VMCB_CR0,
    [VCPU_CR2] = VMCB_CR2,
    [VCPU_CR3] = VMCB_CR3,
    [VCPU_CR4] = VMCB_CR4,
    [VCPU_DR7] = VMCB_DR7,
    [VCPU_EFER] = VMCB_EFER,
    [VCPU_PAT] = VMCB_PAT,
    [VCPU_STAR] = VMCB_STAR,
    [VCPU_LSTAR] = VMCB_LSTAR,
    [VCPU_CSTAR] = VMCB_CSTAR,
    [VCPU_FMASK] = VMCB_FMASK,
    [VCPU_KERNEL_GS_BASE] = VMCB_KERNEL_GS_BASE,
    [VCPU_SYSENTER_CS] = VMCB_SYSENTER_CS,
    [VCPU_SYSENTER_ESP] = VMCB_SYSENTER_ESP,
    [VCPU_SYSENTER_EIP] = VMCB_SYSENTER_EIP,
    [VCPU_GDTR_BASE] = VMCB_GDTR + VMCB_BASE,
    [VCPU_GDTR_LIMIT] = VMCB_GDTR + VMCB_LIMIT,
    [VCPU_IDTR_BASE] = VMCB_IDTR + VMCB_BASE,
    [VCPU_IDTR_LIMIT] = VMCB_IDTR + VMCB_LIMIT,
    SEGMENT(VCPU_ES, VMCB_ES), SEGMENT(VCPU_CS, VMCB_CS), SEGMENT(VCPU_SS, VMCB_SS), SEGMENT(VCPU_DS, VMCB_DS),
    SEGMENT(VCPU_FS, VMCB_FS), SEGMENT(VCPU_GS, VMCB_GS), SEGMENT(VCPU_LDTR, VMCB_LDTR), SEGMENT(VCPU_TR, VMCB_TR),
};

uint32_t svm_place_of(enum vcpu_register reg)
{
    return (unsigned)reg < VCPU_REGISTER_COUNT && place_of[reg] ? place_of[reg] : SVM_NOWHERE;
}

uint64_t svm_access_of(uint64_t attributes)
{
    uint64_t access = (attributes & ACCESS_LOW) | (attributes << HIGH_SHIFT & ACCESS_HIGH);

    return access & ACCESS_PRESENT ? access : access | ACCESS_UNUSABLE;
}

uint64_t svm_attributes_of(uint64_t access)
{
    if (access & ACCESS_UNUSABLE)
        return 0;
    return (access & ACCESS_LOW) | (access & ACCESS_HIGH) >> HIGH_SHIFT;
}
