/* Control registers (SDM 3A 2.5, 2.6). Most of what a guest does with them it does without an exit; what comes here has
 * been left to the monitor by the back end. */
#include "vmm/exits.h"

#include "vmm/devices/local_apic.h"

#define XCR0_X87 1u
#define XCR0_SSE 2u
#define XCR0_AVX 4u
#define CR3_NO_FLUSH (UINT64_C(1) << 63)
#define CR0_KNOWN \
    (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)

/* Lets the processor carry out the write when it comes to the instruction again, or does it. */
static enum fault_result set_control(struct monitor *monitor, const struct vcpu_exit *exit, enum vcpu_register reg,
                                     uint64_t value)
{
    struct vcpu *vcpu = &monitor->vcpu;

    if (vcpu->operations->permit_control && vcpu->operations->permit_control(vcpu->context, reg, value))
        return FAULT_HANDLED;
    vcpu_set(vcpu, reg, value);
    vcpu_skip(vcpu, exit->instruction_length);
    return FAULT_HANDLED;
}

static enum fault_result set_cr0(struct monitor *monitor, const struct vcpu_exit *exit, uint64_t value)
{
    if (value >> 32 != 0 || ((value & CR0_NW) && !(value & CR0_CD)) || ((value & CR0_PG) && !(value & CR0_PE)))
        return exits_raise_gp(monitor);
    return set_control(monitor, exit, VCPU_CR0, (value & CR0_KNOWN) | CR0_ET);
}

static enum fault_result set_cr4(struct monitor *monitor, const struct vcpu_exit *exit, uint64_t value)
{
    if (value & ~monitor->cr4_allowed)
        return exits_raise_gp(monitor);
    if (!(value & CR4_PAE) && (vcpu_get(&monitor->vcpu, VCPU_EFER) & EFER_LMA))
        return exits_raise_gp(monitor);
    return set_control(monitor, exit, VCPU_CR4, value);
}

static enum fault_result move_to(struct monitor *monitor, const struct vcpu_exit *exit, uint64_t value)
{
    switch (exit->control.number) {
    case 0:
        return set_cr0(monitor, exit, value);
    case 3:
        return set_control(monitor, exit, VCPU_CR3, value & ~CR3_NO_FLUSH);
    case 4:
        return set_cr4(monitor, exit, value);
    case 8:
        if (value > 15)
            return exits_raise_gp(monitor);
        local_apic_set_cr8(monitor->machine.local_apic, (uint8_t)value);
        vcpu_skip(&monitor->vcpu, exit->instruction_length);
        return FAULT_HANDLED;
    default:
        return exits_raise(monitor, VECTOR_UD, false, 0);
    }
}

static enum fault_result move_from(struct monitor *monitor, const struct vcpu_exit *exit)
{
    static const enum vcpu_register registers[] = { [0] = VCPU_CR0, [3] = VCPU_CR3, [4] = VCPU_CR4 };
    unsigned number = exit->control.number;
    uint64_t value;

    if (number == 8)
        value = local_apic_cr8(monitor->machine.local_apic);
    else if (number == 0 || number == 3 || number == 4)
        value = vcpu_get(&monitor->vcpu, registers[number]);
    else
        return exits_raise(monitor, VECTOR_UD, false, 0);
    vcpu_set(&monitor->vcpu, (enum vcpu_register)exit->control.gpr, value);
    vcpu_skip(&monitor->vcpu, exit->instruction_length);
    return FAULT_HANDLED;
}

enum fault_result exits_control_register(void *context, const struct vcpu_exit *exit)
{
    struct monitor *monitor = context;
    uint64_t cr0;

    switch (exit->control.access) {
    case VCPU_MOV_TO_CR:
        return move_to(monitor, exit, vcpu_get(&monitor->vcpu, (enum vcpu_register)exit->control.gpr));
    case VCPU_MOV_FROM_CR:
        return move_from(monitor, exit);
    case VCPU_CLTS:
        cr0 = vcpu_get(&monitor->vcpu, VCPU_CR0);
        return set_control(monitor, exit, VCPU_CR0, cr0 & ~CR0_TS);
    case VCPU_LMSW: /* can set PE, and not clear it */
        cr0 = vcpu_get(&monitor->vcpu, VCPU_CR0);
        cr0 = (cr0 & ~(CR0_MP | CR0_EM | CR0_TS)) | (exit->control.lmsw & (CR0_PE | CR0_MP | CR0_EM | CR0_TS));
        return set_control(monitor, exit, VCPU_CR0, cr0);
    }
    return FAULT_PASS;
}

/* Features that the CPU does not have, and combinations that cannot be (SDM 1 13.3). */
static bool is_xcr0(const struct monitor *monitor, uint64_t value)
{
    return !(value & ~monitor->cpuid.xcr0_offered) && (value & XCR0_X87) && (!(value & XCR0_AVX) || (value & XCR0_SSE));
}

enum fault_result exits_xsetbv(void *context, const struct vcpu_exit *exit)
{
    struct monitor *monitor = context;
    struct vcpu *vcpu = &monitor->vcpu;
    uint64_t value = vcpu_get(vcpu, VCPU_RDX) << 32 | (vcpu_get(vcpu, VCPU_RAX) & UINT32_MAX);

    if ((uint32_t)vcpu_get(vcpu, VCPU_RCX) != 0 || !is_xcr0(monitor, value))
        return exits_raise_gp(monitor);
    vcpu_set(vcpu, VCPU_XCR0, value);
    vcpu_skip(vcpu, exit->instruction_length);
    return FAULT_HANDLED;
}
