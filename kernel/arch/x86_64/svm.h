/* Hardware virtualization by AMD-V, beneath object/vcpu*.c (AMD64 APM 2 chapter 15). */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <core/cpu.h>
#include <object/virtualization.h>

struct tcb;
struct vcpu;

/* Whether the calling CPU has AMD-V at all. */
bool svm_present(void);

/* Looks at the calling CPU and switches AMD-V on; NULL, or the reason why it cannot. */
const char *svm_start_cpu(struct cpu *cpu);

/* How many ASIDs processors have; 0 is the host's. */
unsigned svm_asid_count(void);

/* Physical address of the state that a guest's run leaves to be loaded again: FS, GS, TR, LDTR, system call registers. */
uint64_t svm_host_state(const struct cpu *cpu);

/* What a guest's registers are, kept by the CPU for the time of an entry that may fail; and brought back if it has. */
void svm_keep_guest_state(const struct cpu *cpu, const struct vcpu *vcpu);
void svm_restore_guest_state(const struct cpu *cpu, struct vcpu *vcpu);

/* The bases of FS and of the user's GS in that state. */
void svm_set_host_bases(const struct cpu *cpu, uint64_t fs_base, uint64_t user_gs_base);

/* The map of model specific registers that guests have to themselves; to be filled once. */
void svm_fill_msr_permissions(void);
uint64_t svm_msr_permissions(void);

/* The VMCB of a new object: nothing but what every guest has in common. */
void svm_init_vmcb(struct cpu *cpu, struct vcpu *vcpu);

/* The three fields that every seL4_VMEnter sets, with any values. */
void svm_set_entry(struct cpu *cpu, struct vcpu *vcpu, uint64_t rip, uint64_t virtual_interrupt, uint64_t event);

/* And back: what an owner sees of it. */
uint64_t svm_owners_virtual_interrupt(uint64_t value);

/* Invocations of a VCPU that are AMD-V's own: reading and writing of fields. */
void svm_invoke(struct invocation *call, struct vcpu *vcpu);

/* Exceptions that end a guest's run whether or not its owner wants to hear of them. A machine check is the machine's. The
 * others can be made to cause themselves without end while they are delivered, and no interrupt would get through. */
#define SVM_VECTOR_DEBUG           1u
#define SVM_VECTOR_ALIGNMENT_CHECK 17u
#define SVM_VECTOR_MACHINE_CHECK   18u
#define SVM_EXCEPTIONS_KEPT \
    (1u << SVM_VECTOR_DEBUG | 1u << SVM_VECTOR_ALIGNMENT_CHECK | 1u << SVM_VECTOR_MACHINE_CHECK)

/* Runs the guest. Comes back by trap_svm_exit. */
void svm_run(struct cpu *cpu, struct tcb *thread, struct vcpu *vcpu) __attribute__((noreturn));
_Noreturn void trap_svm_exit(void);

/* In svm_entry.S. REGISTERS: of the guest but rax; the others are physical addresses of VMCBs. */
_Noreturn void svm_enter(uint64_t *registers, uint64_t guest, uint64_t host);
void svm_save_host(uint64_t host);
