/* The PVM guest ABI (vmm/pv/pvm_abi.h): a guest that knows that it runs in ring 3. Pure.
 *
 * It needs no patching. Its kernel ("supervisor", CPL 0 in the vcpu) has its interrupt flag in a page that it shares
 * with the monitor, gets events at three entries in place of an IDT, and changes to its programs and back by two
 * SYSCALL instructions at addresses that it has named. What privileged instructions it still uses are carried out as
 * for any guest.
 *
 * Its calls stand in the place of the run loop's others: pvm_syscall for privileged_syscall, and so on. In the vcpu
 * RFLAGS.IF is the virtual flag, wherever the guest has it: pvm_stopped fetches it, and pvm_resumes puts it back. / */
#pragma once

#include "vmm/pv/privileged.h"
#include "vmm/pv/pvm_abi.h"

#include <stdbool.h>
#include <stdint.h>

struct pvm {
    struct pv_cpu *cpu;
    uint64_t range_widest; /* what PVM_MSR_LINEAR_RANGE is at reset, and 0 stands for */
    uint64_t msr[PVM_MSR_COUNT];
    struct pvm_vcpu_struct *shared; /* in guest memory; NULL: PVM_MSR_VCPU_STRUCT is 0 */
    uint64_t tls[PVM_TLS_COUNT];    /* descriptors */
};

/* Whether an ELF kernel speaks PVM: somewhere in its code is the instruction by which it asks. Garbage speaks
 * nothing. */
bool pvm_is_spoken(const uint8_t *image, uint64_t length);

/* After pv_cpu_init, and registers as Linux' 64-bit boot protocol wants them (start_vcpu): makes them those of PVM,
 * and registers the MSRs at the bus. The guest can have the addresses of PML4 entries FIRST to LAST, from 256 to 510;
 * others above the lower half are never there. False: the bus is full. */
bool pvm_init(struct pvm *pvm, struct pv_cpu *cpu, unsigned first, unsigned last);

/* The guest's thread has stopped and its registers are in the vcpu; it is about to go on. */
void pvm_stopped(struct pvm *pvm);
void pvm_resumes(struct pvm *pvm);

/* Whether page tables are looked at for that address at all; others are not present, whatever they say. */
bool pvm_permits(const struct pvm *pvm, uint64_t address);

/* As the functions of the same names in privileged.h and deliver.h. A hypercall that comes as an exit
 * (VCPU_EXIT_HYPERCALL) is for pvm_exits.h. */
enum privileged_result pvm_exception(struct pvm *pvm, uint8_t vector, uint32_t error, uint64_t dr6,
                                     struct vcpu_exit *exit);
enum privileged_result pvm_syscall(struct pvm *pvm, struct vcpu_exit *exit);
bool pvm_deliver_event(struct pvm *pvm);
bool pvm_deliver_exception(struct pvm *pvm);

/* PVM_MSR_…, and the rule that a guest's STAR must keep to: its ring 3 is the real one. */
bool pvm_is_star(uint64_t star);
