/* A VCPU object as VT-x runs it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <arch/x86_64/fpu.h>
#include <lib/assert.h>
#include <sel4/types.h>

struct tcb;

#define VCPU_GUEST_REGISTERS (sizeof(seL4_VCPUContext) / sizeof(seL4_Word))
#define VCPU_IO_BITMAP_BYTES 8192

struct vcpu {
    uint32_t vmcs[1024]; /* the processor's, but for the first word */
    uint64_t io_bitmap[VCPU_IO_BITMAP_BYTES / 8]; /* a port's bit is set: accesses exit */

    struct fpu_state fpu;
    uint64_t registers[VCPU_GUEST_REGISTERS]; /* as seL4_VCPUContext; vmx_exit pushes them from the end down */

    struct tcb *thread; /* associated by VCPU_SetTCB */
    bool launched;      /* VMRESUME enters, not VMLAUNCH */
    unsigned vpid;      /* 0: none at present */

    /* Guest state that the VMCS has no place for. */
    uint64_t star, lstar, cstar, fmask, kernel_gs_base;
    uint64_t cr2, dr[4], dr6;

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

static_assert(sizeof(struct vcpu) <= 1ul << seL4_X86_VCPUBits, "part of the ABI");
static_assert(offsetof(struct vcpu, io_bitmap) % 4096 == 0, "SDM 3C 25.6.4");
