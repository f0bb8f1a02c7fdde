/* Invocations of VCPUs, and of threads about them. seL4 reference manual, chapter 7 (hardware I/O and virtualization). */
#include <object/vcpu.h>

#include <arch/x86_64/vmx.h>
#include <object/vcpu_object.h>
#include <object/derive.h>
#include <object/finalise.h>
#include <object/mapping.h>

static void set_tcb(struct invocation *call, struct vcpu *vcpu)
{
    if (!has_extra(call, 1)) {
        fail(call, seL4_TruncatedMessage);
        return;
    }

    struct cap thread = call->extra[0]->cap;
    if (thread.type != CAP_THREAD) {
        fail(call, seL4_IllegalOperation);
        return;
    }
    vcpu_associate(call->cpu, vcpu, cap_object(thread));
}

static void enable_io_port(struct invocation *call, struct vcpu *vcpu)
{
    if (call->length < 2 || !has_extra(call, 1)) {
        fail(call, seL4_TruncatedMessage);
        return;
    }

    struct slot *slot = call->extra[0];
    if (slot->cap.type != CAP_IO_PORT) {
        fail(call, seL4_IllegalOperation);
        return;
    }
    uint16_t first = (uint16_t)argument(call, 0), last = (uint16_t)argument(call, 1);
    if (first < io_port_first(slot->cap) || last > io_port_last(slot->cap) || first > last) {
        fail_argument(call, 0);
        return;
    }

    /* The capability leads to the VCPU, so that the guest loses the ports with it. Ports that it had enabled for another
     * VCPU go now. */
    vpid_assign(vcpu);
    if (slot->cap.bits != vcpu->vpid) {
        vcpu_io_port_gone(slot->cap);
        slot->cap.bits = vcpu->vpid & 0x3fff;
    }
    vcpu_set_ports(vcpu, first, last, true);
}

static void disable_io_port(struct invocation *call, struct vcpu *vcpu)
{
    if (call->length < 2) {
        fail(call, seL4_TruncatedMessage);
        return;
    }
    vcpu_set_ports(vcpu, (uint16_t)argument(call, 0), (uint16_t)argument(call, 1), false);
}

static void write_registers(struct invocation *call, struct vcpu *vcpu)
{
    if (call->length < VCPU_GUEST_REGISTERS) {
        fail(call, seL4_TruncatedMessage);
        return;
    }
    for (unsigned i = 0; i < VCPU_GUEST_REGISTERS; i++)
        vcpu->registers[i] = argument(call, i);
}

void vcpu_invoke(struct invocation *call)
{
    struct vcpu *vcpu = cap_object(call->cap);

    switch (call->label) {
    case X86VCPUSetTCB:
        set_tcb(call, vcpu);
        break;
    case X86VCPUEnableIOPort:
        enable_io_port(call, vcpu);
        break;
    case X86VCPUDisableIOPort:
        disable_io_port(call, vcpu);
        break;
    case X86VCPUWriteRegisters:
        write_registers(call, vcpu);
        break;
    default:
        virtualization()->invoke(call, vcpu);
        break;
    }
}

void vcpu_set_ept_root(struct invocation *call)
{
    struct cap derived;

    if (!has_extra(call, 1)) {
        fail(call, seL4_TruncatedMessage);
        return;
    }

    struct slot *source = call->extra[0];
    if (source->cap.type != CAP_EPT_PML4) {
        fail(call, seL4_IllegalOperation);
        return;
    }
    if (!cap_derive(call, source, source->cap, &derived))
        return;
    if (mapping_asid(derived) == ASID_INVALID) {
        fail(call, seL4_IllegalOperation);
        return;
    }

    struct tcb *thread = cap_object(call->cap);
    struct slot *slot = &thread->slots[TCB_EPT];
    if (!slot_delete(call->cpu, slot)) {
        preempted(call);
        return;
    }
    slot_insert(derived, source, slot);
}
