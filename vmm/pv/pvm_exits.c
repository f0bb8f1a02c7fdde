#include "vmm/pv/pvm_exits.h"

#include "vmm/pv/pvm.h"

#define MSR_STAR 0xc0000081u

/* The real ring 3 is the kernel's below: STAR must be about it. */
static bool is_allowed(uint32_t index, uint64_t value)
{
    return index != MSR_STAR || pvm_is_star(value);
}

static enum fault_result handle_write_msr(void *context, const struct vcpu_exit *exit)
{
    struct monitor *monitor = context;
    struct vcpu *vcpu = &monitor->vcpu;
    uint64_t value = vcpu_get(vcpu, VCPU_RDX) << 32 | (vcpu_get(vcpu, VCPU_RAX) & UINT32_MAX);

    (void)exit;
    return is_allowed((uint32_t)vcpu_get(vcpu, VCPU_RCX), value) ? FAULT_PASS : exits_raise_gp(monitor);
}

static enum fault_result handle_hypercall(void *context, const struct vcpu_exit *exit)
{
    struct monitor *monitor = context;
    struct vcpu *vcpu = &monitor->vcpu;
    uint32_t index = (uint32_t)vcpu_get(vcpu, VCPU_RBX);
    uint64_t value = vcpu_get(vcpu, VCPU_R10), answer = 0;

    switch (vcpu_get(vcpu, VCPU_RAX)) {
    case PVM_HC_RDMSR:
        if (!exits_get_msr(monitor, index, &answer))
            answer = 0;
        break;
    case PVM_HC_WRMSR:
        if (!is_allowed(index, value) || !exits_set_msr(monitor, index, value))
            answer = PVM_EINVAL;
        break;
    default:
        return FAULT_PASS;
    }
    vcpu_set(vcpu, VCPU_RAX, answer);
    vcpu_skip(vcpu, exit->instruction_length);
    return FAULT_HANDLED;
}

bool pvm_exits_init(struct monitor *monitor)
{
    return fault_register(&monitor->router, VCPU_EXIT_HYPERCALL, EXITS_PRIORITY + 1, handle_hypercall, monitor) &&
           fault_register(&monitor->router, VCPU_EXIT_WRITE_MSR, EXITS_PRIORITY + 1, handle_write_msr, monitor);
}
