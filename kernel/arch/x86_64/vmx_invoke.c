/* Invocations of VCPUs that only VT-x has. seL4 reference manual, chapter 7 (hardware I/O and virtualization). */
#include <arch/x86_64/vmx.h>

#include <api/invocation.h>
#include <arch/x86_64/entry.h>
#include <arch/x86_64/x86.h>
#include <object/vcpu_object.h>

#define MSR_VMX_MISC 0x485

static void read_vmcs(struct invocation *call, struct vcpu *vcpu)
{
    if (call->length < 1 || !vmx_field_readable(argument(call, 0))) {
        fail(call, seL4_IllegalOperation);
        return;
    }
    result(call, vmx_read_field(call->cpu, vcpu, argument(call, 0)));
}

static void write_vmcs(struct invocation *call, struct vcpu *vcpu)
{
    if (call->length < 2) {
        fail(call, seL4_IllegalOperation);
        return;
    }

    uint64_t field = argument(call, 0), value = argument(call, 1);
    if (!vmx_field_writable(field) || !vmx_fit_field(field, &value)) {
        fail(call, seL4_IllegalOperation);
        return;
    }
    vmx_write_field(call->cpu, vcpu, field, value);
    result(call, value);
}

/* Where the VCPU keeps a model specific register that the VMCS does not have; NULL: no such register. */
static uint64_t *msr_of(struct vcpu *vcpu, uint64_t msr)
{
    switch (msr) {
    case MSR_STAR:
        return &vcpu->star;
    case MSR_LSTAR:
        return &vcpu->lstar;
    case MSR_CSTAR:
        return &vcpu->cstar;
    case MSR_FMASK:
        return &vcpu->fmask;
    default:
        return NULL;
    }
}

/* Upstream sets the message register but not the length. */
static void answer_msr(struct invocation *call, uint64_t value)
{
    tcb_set_mr(call->caller, NULL, 0, value);
}

static void read_msr(struct invocation *call, struct vcpu *vcpu)
{
    if (call->length < 1) {
        fail(call, seL4_IllegalOperation);
        return;
    }

    uint64_t msr = argument(call, 0), value = 0;
    uint64_t *own = msr_of(vcpu, msr);
    if (own)
        value = *own;
    else if (msr != MSR_VMX_MISC || !rdmsr_checked(MSR_VMX_MISC, &value)) {
        fail(call, seL4_IllegalOperation);
        return;
    }
    answer_msr(call, value);
}

static void write_msr(struct invocation *call, struct vcpu *vcpu)
{
    if (call->length < 2) {
        fail(call, seL4_IllegalOperation);
        return;
    }

    uint64_t msr = argument(call, 0), value = argument(call, 1);
    uint64_t *own = msr_of(vcpu, msr);
    /* The processor has no addresses but canonical ones in there. */
    if (!own || ((msr == MSR_LSTAR || msr == MSR_CSTAR) && !address_is_canonical(value))) {
        fail(call, seL4_IllegalOperation);
        return;
    }
    *own = value;
    answer_msr(call, value);
}

void vmx_invoke(struct invocation *call, struct vcpu *vcpu)
{
    switch (call->label) {
    case X86VCPUReadVMCS:
        read_vmcs(call, vcpu);
        break;
    case X86VCPUWriteVMCS:
        write_vmcs(call, vcpu);
        break;
    case X86VCPUReadMSR:
        read_msr(call, vcpu);
        break;
    case X86VCPUWriteMSR:
        write_msr(call, vcpu);
        break;
    default:
        fail(call, seL4_IllegalOperation);
        break;
    }
}
