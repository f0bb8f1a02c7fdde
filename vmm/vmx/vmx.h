/* The virtual CPU on an seL4 VCPU object: Intel VT-x. Makes system calls.
 *
 * The guest owns all of CR0 but what VT-x or the caches of the machine need, all of CR4 that the CPUID policy offers,
 * CR3, EFER but for its writes, the time-stamp counter and the debug registers: using them costs no exit.
 */
#pragma once

#include "algorithms/vcpu.h"

#include <sel4/sel4.h>
#include <stdbool.h>
#include <stdint.h>

struct vmx {
    seL4_CPtr object;
    struct vcpu *vcpu;
    uint32_t primary;        /* processor controls, but for the windows */
    uint32_t entry_controls;
    uint64_t cr0_shadow, cr4_shadow;
    uint64_t cr4_owned;      /* bits of CR4 that the guest changes itself */
    uint64_t xcr0;           /* as the guest set it; the real one is the kernel's */
    bool invpcid;                /* the guest can use INVPCID */
    bool enters_with_registers;  /* SEL4_BEAML4_VMENTER_REGISTERS */
    char problem[96];
};

/* Makes OBJECT the virtual CPU of the calling thread TCB, with guest memory EPT_ROOT. KERNEL_FEATURES: of
 * sel4/beaml4.h. NULL, or why it cannot be one. */
const char *vmx_init(struct vmx *vmx, struct vcpu *vcpu, seL4_CPtr object, seL4_CPtr tcb, seL4_CPtr ept_root,
                     uint32_t kernel_features);

/* The guest may set these bits of CR4 and no others. */
void vmx_own_cr4(struct vmx *vmx, uint64_t bits);
