/* Hardware virtualization by VT-x, beneath object/vcpu*.c (SDM 3C chapters 24 to 34). */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <core/cpu.h>
#include <object/virtualization.h>

struct tcb;
struct vcpu;

/* What a control field of a VMCS may be: each bit of MUST is 1, no bit outside MAY is. */
struct vmx_limits {
    uint64_t must, may;
};

static inline uint64_t vmx_fit(struct vmx_limits limits, uint64_t value)
{
    return (value | limits.must) & limits.may;
}

/* What all CPUs of the machine can do, what of it the kernel insists on, and what it does not give away. Set at boot. */
struct vmx_machine {
    uint32_t revision; /* of VMCS regions */
    struct vmx_limits pin, primary, secondary, entry, exit, cr0, cr4;
    uint64_t cr0_kept, cr4_kept; /* bits that no guest changes without an exit */
    bool has_vpid, one_vpid;     /* one_vpid: INVVPID can name one */
    bool host_perf_control;
    uint64_t host_cr0, host_cr4, host_efer, host_pat;
    uint64_t host_star, host_lstar, host_fmask;
};

extern struct vmx_machine vmx_machine;

/* Looks at the calling CPU and enters VMX operation; NULL, or the reason why it cannot. */
const char *vmx_start_cpu(struct cpu *cpu);

/* The MSR bitmap that all VMCSs share: to be filled once; its physical address. */
void vmx_fill_msr_bitmap(void);
uint64_t vmx_msr_bitmap(void);

/* Sets up the VMCS of a new object; the guest-state area as upstream leaves it. */
void vmx_init_vmcs(struct cpu *cpu, struct vcpu *vcpu);

/* Makes the VMCS the current one of this CPU. */
void vmx_load(struct cpu *cpu, struct vcpu *vcpu);

/* The processor writes back all it holds of the VMCS, and forgets it: the memory can have another use. */
void vmx_release(struct cpu *cpu, struct vcpu *vcpu);

/* Invocations of a VCPU that are VT-x's own: reading and writing of VMCS fields and model specific registers. */
void vmx_invoke(struct invocation *call, struct vcpu *vcpu);

/* VMCS fields as the VCPU's owner sees them. Only some may be read or written. vmx_fit_field makes of VALUE what the
 * field gets; false: the owner may not have it so. */
bool vmx_field_readable(uint64_t field);
bool vmx_field_writable(uint64_t field);
bool vmx_fit_field(uint64_t field, uint64_t *value);
uint64_t vmx_read_field(struct cpu *cpu, struct vcpu *vcpu, uint64_t field);
void vmx_write_field(struct cpu *cpu, struct vcpu *vcpu, uint64_t field, uint64_t value);

/* The three fields that every seL4_VMEnter sets, with any values. */
void vmx_set_entry(struct cpu *cpu, struct vcpu *vcpu, uint64_t rip, uint64_t primary_controls, uint64_t entry_info);

/* VPIDs tag translations, and lead from I/O port capabilities to VCPUs. They are few: a VCPU may lose its one to
 * another and get a new one when it runs again; then its guest loses its I/O ports. */
void vpid_assign(struct vcpu *vcpu);
void vpid_release(struct vcpu *vcpu);
struct vcpu *vpid_owner(unsigned vpid);

/* Discards what the calling CPU remembers of guest addresses by that VPID. */
void vmx_discard_vpid(unsigned vpid);

/* Discards all second-level translations that the calling CPU remembers, where that is due. */
void vmx_discard_ept(struct cpu *cpu);

/* Exceptions that end a guest's run whether or not its owner wants to hear of them. A machine check is the machine's. The
 * others can be made to cause themselves without end while they are delivered, and no interrupt would get through. */
#define VMX_VECTOR_DEBUG           1u
#define VMX_VECTOR_ALIGNMENT_CHECK 17u
#define VMX_VECTOR_MACHINE_CHECK   18u
#define VMX_EXCEPTIONS_KEPT \
    (1ul << VMX_VECTOR_DEBUG | 1ul << VMX_VECTOR_ALIGNMENT_CHECK | 1ul << VMX_VECTOR_MACHINE_CHECK)

/* EVENT (an exit's interruption information) is an exception of the guest's: if it is one of those and the owner does
 * not want to hear of it, the next entry delivers it. Otherwise false. */
bool vmx_return_exception(struct vcpu *vcpu, uint32_t event);

/* Runs the guest. Comes back by trap_vm_exit, or trap_vm_entry_failed where no guest state was even loaded. */
void vmx_run(struct cpu *cpu, struct tcb *thread, struct vcpu *vcpu) __attribute__((noreturn));
_Noreturn void trap_vm_exit(void);
_Noreturn void trap_vm_entry_failed(void);

/* What of the processor is the guest's though a VM exit did not save it, back into VCPU; and the kernel's own again. */
void vmx_leave_guest(struct cpu *cpu, struct vcpu *vcpu);

/* In vmx_entry.S. REGISTERS: of the guest. vmx_exit is where the processor goes on when a guest exits. */
_Noreturn void vmx_enter(uint64_t *registers, bool launched);
extern char vmx_exit[];
