/* Model specific registers that belong to no other device: those that are part of the CPU's state (struct vcpu), and
 * the constants and few switches that a kernel asks for without looking at CPUID first.
 *
 * Everything else is a #GP, which is what a CPU without the register gives: kernels try registers that way. Each such
 * register is reported once. Registers that belong to a feature which CPUID hides are not here; vmm/cpuid_rules.c says
 * which those are. Numbers and bits: SDM 4, table 2-2.
 */
#include "vmm/device.h"

#include <stdio.h>
#include <stdlib.h>

#define MSR_TSC           0x10u
#define MSR_MISC_ENABLE   0x1a0u
#define MSR_MTRR_DEF_TYPE 0x2ffu
#define MSR_EFER          0xc0000080u

#define ALL_MSRS (UINT64_C(1) << 32)

/* Fast strings on, as Linux wants them for its memcpy; no branch trace store, no PEBS; all else off. */
#define MISC_FAST_STRINGS UINT64_C(0x0001)
#define MISC_FIXED        UINT64_C(0x1800)

/* Memory types: write-back everywhere, which is what the EPT gives whatever is written here. MTRRcap has no ranges. */
#define MTRR_ENABLE     UINT64_C(0x800)
#define MTRR_TYPE       UINT64_C(0xff)
#define MTRR_WRITE_BACK 6u

#define REPORTS_MAX 32u

struct msrs {
    struct machine *machine;
    uint64_t misc_enable, mtrr_def_type;
    uint64_t refused;
    unsigned reported;
    struct { uint32_t number; bool write; } report[REPORTS_MAX];
};

static bool any(uint64_t value)
{
    (void)value;
    return true;
}

static bool fits_32_bits(uint64_t value)
{
    return value >> 32 == 0;
}

/* Bits 63 to 47 are equal: 48-bit linear addresses. */
static bool is_canonical(uint64_t value)
{
    return value + (UINT64_C(1) << 47) < UINT64_C(1) << 48;
}

/* SDM 3A table 12-10: uncacheable, write-combining, write-through, write-protected, write-back, UC-. */
static bool is_pat(uint64_t value)
{
    for (unsigned i = 0; i < 8; i++, value >>= 8)
        if ((value & 0xff) > 7 || (value & 0xff) == 2 || (value & 0xff) == 3)
            return false;
    return true;
}

static const struct cpu_msr {
    uint32_t number;
    enum vcpu_register reg;
    bool (*is_valid)(uint64_t value);
} cpu_msrs[] = {
    { 0x174, VCPU_SYSENTER_CS, fits_32_bits },
    { 0x175, VCPU_SYSENTER_ESP, is_canonical },
    { 0x176, VCPU_SYSENTER_EIP, is_canonical },
    { 0x277, VCPU_PAT, is_pat },
    { 0xc0000081, VCPU_STAR, any },
    { 0xc0000082, VCPU_LSTAR, is_canonical },
    { 0xc0000083, VCPU_CSTAR, is_canonical },
    { 0xc0000084, VCPU_FMASK, fits_32_bits },
    { 0xc0000100, VCPU_SEGMENT(VCPU_FS, VCPU_BASE), is_canonical },
    { 0xc0000101, VCPU_SEGMENT(VCPU_GS, VCPU_BASE), is_canonical },
    { 0xc0000102, VCPU_KERNEL_GS_BASE, is_canonical },
};

enum on_write {
    READ_ONLY, /* #GP */
    ONLY_SAME, /* #GP where another value than the constant is written */
    IGNORED,
};

static const struct constant_msr {
    uint32_t number;
    uint64_t value;
    enum on_write on_write;
} constant_msrs[] = {
    { 0x00, 0, ONLY_SAME },  /* P5_MC_ADDR, */
    { 0x01, 0, ONLY_SAME },  /* P5_MC_TYPE: no machine check has been */
    { 0x17, 0, READ_ONLY },  /* PLATFORM_ID */
    { 0x3a, 1, READ_ONLY },  /* FEATURE_CONTROL: locked, everything off */
    /* The guest's clock is the machine's: it cannot be moved, and TSC_ADJUST says so by staying 0. A #GP would be too
     * much, since kernels write here on the way up. */
    { 0x3b, 0, IGNORED },    /* TSC_ADJUST */
    { 0x8b, 0, IGNORED },    /* BIOS_SIGN_ID: no microcode update; kernels write 0 before they read */
    { 0xce, 0, READ_ONLY },  /* PLATFORM_INFO: no ratios; CPUID faulting not offered */
    { 0xfe, 0, READ_ONLY },  /* MTRRCAP: no ranges, fixed or variable */
    { 0x179, 0, READ_ONLY }, /* MCG_CAP: no banks */
    { 0x17a, 0, ONLY_SAME }, /* MCG_STATUS */
    { 0x1d9, 0, ONLY_SAME }, /* DEBUGCTL: no branch records, no single step on branches */
};

static enum bus_result access_efer(struct msrs *msrs, struct bus_access *access)
{
    struct vcpu *vcpu = msrs->machine->vcpu;
    uint64_t now = vcpu_get(vcpu, VCPU_EFER);

    if (!access->write) {
        access->value = now;
        return BUS_DONE;
    }
    if (access->value & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE))
        return BUS_FAULT;
    if (((access->value ^ now) & EFER_LME) && (vcpu_get(vcpu, VCPU_CR0) & CR0_PG))
        return BUS_FAULT;
    vcpu_set(vcpu, VCPU_EFER, (access->value & ~EFER_LMA) | (now & EFER_LMA));
    return BUS_DONE;
}

static enum bus_result access_tsc(struct msrs *msrs, struct bus_access *access)
{
    if (!access->write)
        access->value = msrs->machine->now();
    return BUS_DONE; /* a write: as for TSC_ADJUST */
}

static enum bus_result access_misc_enable(struct msrs *msrs, struct bus_access *access)
{
    if (!access->write) {
        access->value = msrs->misc_enable;
    } else {
        if ((access->value & ~MISC_FAST_STRINGS) != MISC_FIXED)
            return BUS_FAULT;
        msrs->misc_enable = access->value;
    }
    return BUS_DONE;
}

static enum bus_result access_mtrr_def_type(struct msrs *msrs, struct bus_access *access)
{
    if (!access->write) {
        access->value = msrs->mtrr_def_type;
    } else {
        uint64_t type = access->value & MTRR_TYPE;

        /* Without MTRRCAP's WC bit there is no write-combining type either. */
        if ((access->value & ~(MTRR_ENABLE | MTRR_TYPE)) || (type != 0 && (type < 4 || type > 6)))
            return BUS_FAULT;
        msrs->mtrr_def_type = access->value;
    }
    return BUS_DONE;
}

static enum bus_result access_cpu(struct msrs *msrs, const struct cpu_msr *msr, struct bus_access *access)
{
    struct vcpu *vcpu = msrs->machine->vcpu;

    if (!access->write) {
        access->value = vcpu_get(vcpu, msr->reg);
    } else {
        if (!msr->is_valid(access->value))
            return BUS_FAULT;
        vcpu_set(vcpu, msr->reg, access->value);
    }
    return BUS_DONE;
}

static enum bus_result access_constant(const struct constant_msr *msr, struct bus_access *access)
{
    if (!access->write) {
        access->value = msr->value;
        return BUS_DONE;
    }
    switch (msr->on_write) {
    case ONLY_SAME:
        return access->value == msr->value ? BUS_DONE : BUS_FAULT;
    case IGNORED:
        return BUS_DONE;
    default:
        return BUS_FAULT;
    }
}

/* A guest may try all 2^32 of them: each is reported once, and not too many of them. */
static enum bus_result refuse(struct msrs *msrs, const struct bus_access *access)
{
    uint32_t number = (uint32_t)access->address;
    char line[80];

    msrs->refused++;
    for (unsigned i = 0; i < msrs->reported; i++)
        if (msrs->report[i].number == number && msrs->report[i].write == access->write)
            return BUS_FAULT;
    if (msrs->reported == REPORTS_MAX)
        return BUS_FAULT;
    msrs->report[msrs->reported].number = number;
    msrs->report[msrs->reported].write = access->write;
    msrs->reported++;
    snprintf(line, sizeof line, "unknown MSR %#x %s: #GP%s", number, access->write ? "written" : "read",
             msrs->reported == REPORTS_MAX ? " (more of them are not reported)" : "");
    if (msrs->machine->log)
        msrs->machine->log(line);
    return BUS_FAULT;
}

static enum bus_result access_msr(void *device, struct bus_access *access)
{
    struct msrs *msrs = device;

    switch (access->address) {
    case MSR_TSC:
        return access_tsc(msrs, access);
    case MSR_MISC_ENABLE:
        return access_misc_enable(msrs, access);
    case MSR_MTRR_DEF_TYPE:
        return access_mtrr_def_type(msrs, access);
    case MSR_EFER:
        return access_efer(msrs, access);
    default:
        break;
    }
    for (size_t i = 0; i < sizeof cpu_msrs / sizeof cpu_msrs[0]; i++)
        if (cpu_msrs[i].number == access->address)
            return access_cpu(msrs, &cpu_msrs[i], access);
    for (size_t i = 0; i < sizeof constant_msrs / sizeof constant_msrs[0]; i++)
        if (constant_msrs[i].number == access->address)
            return access_constant(&constant_msrs[i], access);
    return refuse(msrs, access);
}

static void destroy(struct machine *machine, void *device)
{
    struct msrs *msrs = device;
    char line[80];

    if (msrs->refused && machine->log) {
        snprintf(line, sizeof line, "%lu accesses to unknown MSRs", msrs->refused);
        machine->log(line);
    }
    bus_unregister(&machine->bus, msrs);
    free(msrs);
}

static bool create(struct machine *machine, void **device)
{
    struct msrs *msrs = calloc(1, sizeof *msrs);
    const struct bus_range range = {
        .space = BUS_MSR, .start = 0, .length = ALL_MSRS, .priority = 0,
        .handler = access_msr, .device = msrs, .name = "msr",
    };

    if (!msrs)
        return false;
    msrs->machine = machine;
    msrs->misc_enable = MISC_FAST_STRINGS | MISC_FIXED;
    msrs->mtrr_def_type = MTRR_ENABLE | MTRR_WRITE_BACK;
    if (!bus_register(&machine->bus, &range)) {
        free(msrs);
        return false;
    }
    *device = msrs;
    return true;
}

DEVICE(msr_device, .name = "msr", .order = DEVICE_ORDER_NORMAL, .create = create, .destroy = destroy);
