/* Numbers of the PVM guest ABI ("pagetable-based virtual machine", Documentation/virt/kvm/x86/pvm-spec.rst of
 * github.com/virt-pvm/linux), in the version in which supervisor exceptions arrive on the stack: the one that guests
 * in the field speak, Nanos among them. docs/pvm.md says what of it is offered. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* INVLPG of an address that nobody maps, and CPUID: a trap in ring 3, and nothing special in ring 0. */
#define PVM_SYNTHETIC_CPUID       "\x0f\x01\x3c\x25\x50\x56\x4d\xff\x0f\xa2"
#define PVM_SYNTHETIC_CPUID_BYTES 10u

/* CPUID leaves: that of KVM's signature leads to this one. */
#define PVM_CPUID_FEATURES  0x40000002u
#define PVM_CPUID_SIGNATURE 0x004d5650u /* EBX: "PVM" */

/* Model specific registers. */
#define PVM_MSR_FIRST               0x4b564df0u
#define PVM_MSR_LINEAR_RANGE        0u /* from the first on */
#define PVM_MSR_VCPU_STRUCT         1u
#define PVM_MSR_SUPERVISOR_RSP      2u
#define PVM_MSR_SUPERVISOR_REDZONE  3u
#define PVM_MSR_EVENT_ENTRY         4u
#define PVM_MSR_RETU_RIP            5u
#define PVM_MSR_RETS_RIP            6u
#define PVM_MSR_SWITCH_CR3          7u
#define PVM_MSR_COUNT               8u

/* The linear range: first and last (exclusive) index into the PML4, then into the PML5, 16 bits each, of which the
 * upper seven are set. There is no PML5: its range is empty. */
#define PVM_RANGE_FIXED UINT64_C(0xff00ff00ff00ff00)
#define PVM_RANGE_NONE  0x1ffu

/* From the event entry on: where events begin. */
#define PVM_ENTRY_USER                 0u
#define PVM_ENTRY_SUPERVISOR_EXCEPTION 256u
#define PVM_ENTRY_SUPERVISOR_INTERRUPT 512u
#define PVM_FIRST_INTERRUPT            32u /* lower vectors are exceptions */

/* Hypercalls, in rax; arguments in rbx, r10, rdx. */
#define PVM_HC_LOAD_PGTBL        UINT64_C(0x17088200)
#define PVM_HC_IRQ_WIN           UINT64_C(0x17088201)
#define PVM_HC_IRQ_HALT          UINT64_C(0x17088202)
#define PVM_HC_TLB_FLUSH         UINT64_C(0x17088203)
#define PVM_HC_TLB_FLUSH_CURRENT UINT64_C(0x17088204)
#define PVM_HC_TLB_INVLPG        UINT64_C(0x17088205)
#define PVM_HC_LOAD_GS           UINT64_C(0x17088206)
#define PVM_HC_RDMSR             UINT64_C(0x17088207)
#define PVM_HC_WRMSR             UINT64_C(0x17088208)
#define PVM_HC_LOAD_TLS          UINT64_C(0x17088209)
#define PVM_LOAD_PGTBL_FLUSH     1u
#define PVM_EINVAL               (-UINT64_C(22))

/* KVM's own, as far as no feature bit is needed for them (Documentation/virt/kvm/x86/hypercalls.rst). */
#define KVM_HC_VAPIC_POLL_IRQ UINT64_C(1)
#define KVM_ENOSYS            (-UINT64_C(1000))

/* Selectors of ring 3: Linux' numbers, which are also those of the kernel below. */
#define PVM_USER32_CS 0x23u
#define PVM_USER_DS   0x2bu
#define PVM_USER_CS   0x33u
#define PVM_TLS_FIRST 12u /* index into the descriptor table */
#define PVM_TLS_COUNT 3u

/* The page that guest and monitor share, at its physical address in PVM_MSR_VCPU_STRUCT. */
#define PVM_EVENT_FLAG_IP (UINT64_C(1) << 8) /* an interrupt waits until IF is set, and then for PVM_HC_IRQ_WIN */
#define PVM_EVENT_FLAG_IF (UINT64_C(1) << 9)

struct pvm_vcpu_struct {
    uint64_t event_flags;
    uint32_t event_errcode, event_vector;
    uint64_t cr2;
    uint64_t reserved0[5];
    uint16_t user_cs, user_ss;
    uint32_t reserved1;
    uint64_t reserved2;
    uint64_t user_gsbase;
    uint32_t eflags, pkru;
    uint64_t rip, rsp, rcx, r11;
};
_Static_assert(offsetof(struct pvm_vcpu_struct, user_cs) == 64 && sizeof(struct pvm_vcpu_struct) == 128,
               "as guests know it");
