/* A VCPU object: what all ways of running it need, and what each keeps for itself. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <arch/x86_64/fpu.h>
#include <lib/assert.h>
#include <sel4/types.h>

struct tcb;
struct vmcb;

#define VCPU_GUEST_REGISTERS (sizeof(seL4_VCPUContext) / sizeof(seL4_Word))
#define VCPU_IO_BITMAP_BYTES 8192

/* AMD-V's own. */
struct svm_vcpu {
    uint32_t exceptions; /* bitmap of exceptions that the owner wants to hear of */
    unsigned asid_cpu;   /* the CPU, and its round of ASIDs, by which the one in the VMCB was given */
    uint64_t asid_round;
    bool lme_held; /* EFER.LME is the guest's, but not in the VMCB while the guest runs */
    bool unproven; /* fields were written since the last entry that did not fail */
};

struct vcpu {
    uint32_t control_block[1024]; /* the processor's: VMCS or VMCB */
    uint64_t io_bitmap[VCPU_IO_BITMAP_BYTES / 8]; /* a port's bit is set: accesses exit */
    uint64_t io_bitmap_end; /* all ones: AMD-V reads on here for an access that begins at the last ports */

    struct fpu_state fpu;
    uint64_t registers[VCPU_GUEST_REGISTERS]; /* as seL4_VCPUContext; vmx_exit pushes them from the end down */

    struct tcb *thread; /* associated by VCPU_SetTCB */
    unsigned vpid;      /* 0: none at present */
    uint64_t dr[4], dr6; /* no control block has a place for these, but AMD-V's for DR6 */

    union {
        struct svm_vcpu svm;
        struct {
            bool launched; /* VMRESUME enters, not VMLAUNCH */

            /* Guest state that the VMCS has no place for. */
            uint64_t star, lstar, cstar, fmask, kernel_gs_base, cr2;

            /* What certain fields of the VMCS hold, to save VMREADs and VMWRITEs. */
            uint64_t rip;
            uint64_t primary_controls;
            uint64_t entry_info;
            uint64_t guest_physical; /* as of the last exit that tells one */
            uint64_t ept_root;
            unsigned written_vpid;
            uint64_t host_cr3, host_fs_base;
            bool host_fpu_forbidden; /* TS in the host's CR0 */

            uint64_t exceptions; /* bitmap of exceptions that the owner wants to hear of */
        };
    };
};

static_assert(sizeof(struct vcpu) <= 1ul << seL4_X86_VCPUBits, "part of the ABI");
static_assert(offsetof(struct vcpu, io_bitmap) % 4096 == 0, "SDM 3C 25.6.4, APM 2 15.10.1");

static inline struct vmcb *vcpu_vmcb(struct vcpu *vcpu)
{
    return (struct vmcb *)vcpu->control_block;
}
