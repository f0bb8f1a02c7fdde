/* The virtual CPU on a VCPU object of our own kernel on AMD-V. Makes system calls.
 *
 * The guest owns CR0, CR2, CR3, the debug registers, the system call registers and the time-stamp counter: using them costs
 * no exit. CR4 and CR8 do.
 */
#pragma once

#include "algorithms/vcpu.h"
#include "vmm/guest_walk.h"

#include <sel4/sel4.h>
#include <stdbool.h>
#include <stdint.h>

struct svm {
    seL4_CPtr object;
    struct vcpu *vcpu;
    const struct guest_memory *memory; /* instructions are read out of it */
    uint64_t xcr0;           /* as the guest set it; the real one is the kernel's */
    bool nmi_blocked;        /* until IRET */
    uint32_t cpl;            /* as of the last exit */
};

/* Makes OBJECT the virtual CPU of the calling thread TCB, with guest memory EPT_ROOT. NULL, or why it cannot be one. */
const char *svm_init(struct svm *svm, struct vcpu *vcpu, const struct guest_memory *memory, seL4_CPtr object,
                     seL4_CPtr tcb, seL4_CPtr ept_root);
