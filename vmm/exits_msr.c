/* Model specific registers: the CPU's own here, all others are devices on the bus. */
#include "vmm/exits.h"
#include "vmm/paging_bits.h"

#define MSR_APIC_BASE 0x1bu
#define MSR_PAT       0x277u
#define MSR_X2APIC    0x800u /* to 0x8ff */
#define APIC_ENABLED  (UINT64_C(1) << 11)

/* Those that are a register of the virtual CPU, and what its values can be. */
enum value_rule { ANY, CANONICAL, BITS_32, RULE_PAT, RULE_EFER };

static const struct cpu_msr {
    uint32_t index;
    enum vcpu_register reg;
    enum value_rule rule;
} cpu_msrs[] = {
    { 0x174, VCPU_SYSENTER_CS, BITS_32 },
    { 0x175, VCPU_SYSENTER_ESP, CANONICAL },
    { 0x176, VCPU_SYSENTER_EIP, CANONICAL },
    { MSR_PAT, VCPU_PAT, RULE_PAT },
    { 0xc0000080, VCPU_EFER, RULE_EFER },
    { 0xc0000081, VCPU_STAR, ANY },
    { 0xc0000082, VCPU_LSTAR, CANONICAL },
    { 0xc0000083, VCPU_CSTAR, CANONICAL },
    { 0xc0000084, VCPU_FMASK, BITS_32 },
    { 0xc0000100, VCPU_SEGMENT(VCPU_FS, VCPU_BASE), CANONICAL },
    { 0xc0000101, VCPU_SEGMENT(VCPU_GS, VCPU_BASE), CANONICAL },
    { 0xc0000102, VCPU_KERNEL_GS_BASE, CANONICAL },
};

static const struct cpu_msr *find_msr(uint32_t index)
{
    if (index >> 8 == MSR_X2APIC >> 8) /* written with every interrupt */
        return NULL;
    for (unsigned i = 0; i < sizeof cpu_msrs / sizeof cpu_msrs[0]; i++)
        if (cpu_msrs[i].index == index)
            return &cpu_msrs[i];
    return NULL;
}

/* Each of the eight fields has one of the memory types 0, 1, 4, 5, 6, 7 (SDM 3A 12.12.2). */
static bool is_pat(uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) {
        uint64_t type = value >> i * 8 & 0xff;
        if (type > 7 || type == 2 || type == 3)
            return false;
    }
    return true;
}

/* LMA follows paging and LME and cannot be written; LME cannot change while paging is on. */
static bool fit_efer(struct monitor *monitor, uint64_t *value)
{
    uint64_t now = vcpu_get(&monitor->vcpu, VCPU_EFER);

    if (*value & ~(monitor->efer_allowed | EFER_LMA))
        return false;
    if (((*value ^ now) & EFER_LME) && (vcpu_get(&monitor->vcpu, VCPU_CR0) & CR0_PG))
        return false;
    *value = (*value & ~EFER_LMA) | (now & EFER_LMA);
    return true;
}

static bool fit(struct monitor *monitor, enum value_rule rule, uint64_t *value)
{
    switch (rule) {
    case CANONICAL: return is_canonical(*value);
    case BITS_32:   return *value <= UINT32_MAX;
    case RULE_PAT:  return is_pat(*value);
    case RULE_EFER: return fit_efer(monitor, value);
    default:        return true;
    }
}

void exits_refresh_apic(struct monitor *monitor)
{
    struct bus_access access = { .size = 8, .address = MSR_APIC_BASE };

    monitor->cpuid_guest.apic_enabled =
        bus_perform(&monitor->machine.bus, BUS_MSR, &access) == BUS_DONE && (access.value & APIC_ENABLED);
}

bool exits_get_msr(struct monitor *monitor, uint32_t index, uint64_t *value)
{
    struct bus_access access = { .size = 8, .address = index };
    const struct cpu_msr *msr = find_msr(index);

    if (msr) {
        *value = vcpu_get(&monitor->vcpu, msr->reg);
        return true;
    }
    enum bus_result result = bus_perform(&monitor->machine.bus, BUS_MSR, &access);
    *value = access.value;
    return result == BUS_DONE;
}

bool exits_set_msr(struct monitor *monitor, uint32_t index, uint64_t value)
{
    struct bus_access access = { .write = true, .size = 8, .address = index, .value = value };
    const struct cpu_msr *msr = find_msr(index);

    if (msr) {
        if (!fit(monitor, msr->rule, &value))
            return false;
        vcpu_set(&monitor->vcpu, msr->reg, value);
        return true;
    }
    if (bus_perform(&monitor->machine.bus, BUS_MSR, &access) != BUS_DONE)
        return false;
    if (index == MSR_APIC_BASE)
        exits_refresh_apic(monitor);
    return true;
}

enum fault_result exits_read_msr(void *context, const struct vcpu_exit *exit)
{
    struct monitor *monitor = context;
    struct vcpu *vcpu = &monitor->vcpu;
    uint64_t value;

    if (!exits_get_msr(monitor, (uint32_t)vcpu_get(vcpu, VCPU_RCX), &value))
        return exits_raise_gp(monitor);
    vcpu_set(vcpu, VCPU_RAX, value & UINT32_MAX);
    vcpu_set(vcpu, VCPU_RDX, value >> 32);
    vcpu_skip(vcpu, exit->instruction_length);
    return FAULT_HANDLED;
}

enum fault_result exits_write_msr(void *context, const struct vcpu_exit *exit)
{
    struct monitor *monitor = context;
    struct vcpu *vcpu = &monitor->vcpu;
    uint64_t value = vcpu_get(vcpu, VCPU_RDX) << 32 | (vcpu_get(vcpu, VCPU_RAX) & UINT32_MAX);

    if (!exits_set_msr(monitor, (uint32_t)vcpu_get(vcpu, VCPU_RCX), value))
        return exits_raise_gp(monitor);
    vcpu_skip(vcpu, exit->instruction_length);
    return FAULT_HANDLED;
}
