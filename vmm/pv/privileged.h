/* Instructions of the guest that the processor refuses in ring 3, or that have been patched. Pure.
 *
 * What the CPU's own instruction would have done is done: registers and memory changed, or an exception raised in
 * vcpu->exception, which the next event is made of. What belongs to the machine becomes an exit for the shared handlers. */
#pragma once

#include "vmm/pv/cpu.h"

enum privileged_result {
    PRIVILEGED_DONE,     /* the guest goes on, perhaps with the exception that the vcpu has pending */
    PRIVILEGED_EXIT,     /* *EXIT is to be handled */
    PRIVILEGED_SHUTDOWN, /* triple fault */
};

/* The guest's thread has stopped with exception VECTOR (any but a page fault), with ERROR as the processor gave it; DR6
 * counts for #DB. Its registers are in the vcpu. Carries out the instruction at rip, or passes the exception on. */
enum privileged_result privileged_exception(struct pv_cpu *cpu, uint8_t vector, uint32_t error, uint64_t dr6,
                                            struct vcpu_exit *exit);

/* The thread has stopped at a SYSCALL, which rip points to; rcx and r11 are lost. In the guest's kernel that is a
 * hypercall (an exit), in its programs a system call. */
enum privileged_result privileged_syscall(struct pv_cpu *cpu, struct vcpu_exit *exit);

/* A page fault of the guest's own: CR2 and the exception. */
bool privileged_page_fault(struct pv_cpu *cpu, uint64_t address, uint32_t error);
