/* Virtual CPUs: the VCPU object, seL4_VMEnter, TCB_SetEPTRoot. The vendor's part is in arch/x86_64/vmx*. */
#pragma once

#include <api/invocation.h>
#include <object/cap.h>

struct vcpu;

/* At boot, on each CPU. What hardware virtualization there is, or why it is not. */
void vcpu_init_cpu(struct cpu *cpu);
bool vcpu_available(void);
const char *vcpu_kind(void); /* for messages */
const char *vcpu_unavailable_reason(void);

/* Prepares a new object in zeroed memory. */
void vcpu_init_object(struct vcpu *vcpu);

/* The last capability goes: leave guest state on all CPUs, dissociate from the thread. */
void vcpu_finalise(struct cpu *cpu, struct vcpu *vcpu);

/* The thread goes: dissociate. */
void vcpu_thread_gone(struct cpu *cpu, struct tcb *thread);

/* Binds the two to each other, and to no others. */
void vcpu_associate(struct cpu *cpu, struct vcpu *vcpu, struct tcb *thread);

/* Invocations of CAP_VCPU. */
void vcpu_invoke(struct invocation *call);

/* TCBSetEPTRoot, invoked on a thread. */
void vcpu_set_ept_root(struct invocation *call);

/* The system call seL4_VMEnter of the current thread: checks for a pending notification, else makes the thread
 * THREAD_IN_GUEST. */
void vcpu_enter_call(struct cpu *cpu);

/* Runs the current thread's guest; called by schedule_and_leave for THREAD_IN_GUEST. Comes back by trap_vm_exit on a
 * fresh stack. */
_Noreturn void vcpu_run(struct cpu *cpu);

/* A thread in guest state gets a signal through its bound notification: it leaves with SEL4_VMENTER_RESULT_NOTIF. */
void vcpu_leave_for_notification(struct cpu *cpu, struct tcb *thread, uint64_t badge);

/* Whether the guest accesses ports FIRST to LAST by itself, or exits. */
void vcpu_set_ports(struct vcpu *vcpu, uint16_t first, uint16_t last, bool allowed);

/* A capability to I/O ports goes, perhaps not the last one: a guest that it was enabled for loses them. */
void vcpu_io_port_gone(struct cap cap);
