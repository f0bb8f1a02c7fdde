/* The virtual CPU in PV mode, as far as the monitor carries it out: what beside struct vcpu belongs to it, and what the
 * parts of vmm/pv that work on it share. Pure.
 *
 * The guest's kernel and its programs both run in ring 3. CPL is the DPL of SS, as with the other back ends. All registers
 * are in vcpu->value. RFLAGS there is the virtual one: of the bits in PV_RFLAGS_VIRTUAL the thread's own say nothing.
 *
 * VCPU_BLOCKED_BY_STI and _BY_MOV_SS are set as a processor does and end with the next instruction that the monitor carries
 * out. One that the guest executes itself does not come here: the run loop sees to it that they end there, too.
 */
#pragma once

#include "algorithms/vcpu.h"
#include "vmm/bus.h"
#include "vmm/guest_memory.h"
#include "vmm/paging_bits.h"
#include "vmm/pv/privileged_decode.h"

#include <stdbool.h>
#include <stdint.h>

#define DR7_GENERAL_DETECT (UINT64_C(1) << 13)

#define RFLAGS_FIXED UINT64_C(2)
#define RFLAGS_CF   (UINT64_C(1) << 0)
#define RFLAGS_ZF   (UINT64_C(1) << 6)
#define RFLAGS_IOPL (UINT64_C(3) << 12)
#define RFLAGS_NT   (UINT64_C(1) << 14)
#define RFLAGS_RF   (UINT64_C(1) << 16)
#define RFLAGS_VM   (UINT64_C(1) << 17)
#define RFLAGS_AC   (UINT64_C(1) << 18)
#define RFLAGS_VIF  (UINT64_C(1) << 19)
#define RFLAGS_VIP  (UINT64_C(1) << 20)
#define RFLAGS_ID   (UINT64_C(1) << 21)
#define PV_RFLAGS_VIRTUAL (RFLAGS_IF | RFLAGS_IOPL | RFLAGS_VM | RFLAGS_VIF | RFLAGS_VIP)

#define VECTOR_BP 3u
#define VECTOR_OF 4u
#define VECTOR_NP 11u
#define VECTOR_SS 12u
#define VECTOR_AC 17u

/* What an instruction has done to translations beyond changing a register. The run loop hands it to the shadow page tables
 * and clears it; changes of CR0, CR4 and EFER it sees by their values. */
#define PV_INVALIDATED_PAGES 4u

struct pv_invalidation {
    bool everything;     /* global translations as well */
    bool loaded_cr3;     /* CR3 is (going to be) written, perhaps with the value that it has */
    unsigned count;      /* INVLPG */
    uint64_t page[PV_INVALIDATED_PAGES];
};

struct pv_cpu {
    struct vcpu *vcpu;
    const struct guest_memory *memory;
    struct bus *bus;
    void *context; /* for the functions below, each of which may be NULL */

    /* The monitor has written LENGTH bytes of guest memory for the guest. */
    void (*written)(void *context, uint64_t physical, unsigned length);
    /* Whether the code at that guest physical address has been patched (at all, not necessarily this byte): what tells
     * a patched instruction of the kernel from an undefined one when a program executes it. */
    bool (*is_patched)(void *context, uint64_t physical);

    uint64_t (*tsc)(void *context); /* for RDTSC where it is patched or refused; without it that is undefined */

    unsigned physical_bits; /* of guest physical addresses, as CPUID says; 0: 52 */
    bool has_invpcid;       /* CPUID offers it; else it is undefined */
    uint64_t debug_address[4], dr6; /* DR0 to DR3; DR7 is in the vcpu. Breakpoints do not come. */
    struct pv_invalidation invalidation;
    struct privileged_cache cache;
};

void pv_cpu_init(struct pv_cpu *cpu, struct vcpu *vcpu, const struct guest_memory *memory, struct bus *bus);

static inline unsigned pv_cpl(struct vcpu *vcpu)
{
    return vcpu_get(vcpu, VCPU_SEGMENT(VCPU_SS, VCPU_ACCESS)) >> 5 & 3;
}
