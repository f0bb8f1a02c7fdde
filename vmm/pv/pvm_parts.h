/* What the files of the PVM guest ABI share; nothing else includes it. */
#pragma once

#include "vmm/pv/pvm.h"

#define PVM_RFLAGS_FIXED UINT64_C(2)
/* Those that a guest can have: SDM 1 3.4.3, without IOPL, VM, VIF and VIP; IF is the virtual one. */
#define PVM_RFLAGS_GUEST UINT64_C(0x254fd5)

#define PVM_SYSCALL_BYTES 2u

bool pvm_is_supervisor(struct pvm *pvm);

/* The change of mode in the vcpu: CPL with CS and SS, GS base, CR3, and the stack pointer of the supervisor. */
void pvm_to_supervisor(struct pvm *pvm);
void pvm_to_user(struct pvm *pvm, uint16_t user_cs, uint16_t user_ss);

/* What the monitor has written to the shared page may have been something else of the guest's as well. */
void pvm_shared_written(struct pvm *pvm);

/* The SYSCALL of a program: its event. False: triple fault. */
bool pvm_deliver_syscall(struct pvm *pvm);

/* The two returns from an event; rip is at their SYSCALL. False: triple fault. */
bool pvm_return_user(struct pvm *pvm);
bool pvm_return_supervisor(struct pvm *pvm);
