/* Model specific registers that are neither part of the CPU's state (vmm/exits_msr.c) nor another device's: the
 * constants and few switches that a kernel asks for without looking at CPUID first.
 *
 * Everything else is a #GP, which is what a CPU without the register gives, and each such register is reported once.
 * Registers of features that CPUID hides are not here; vmm/cpuid_rules.c says which those are. Numbers and bits: SDM 4,
 * table 2-2.
 */
#include "vmm/device.h"

#include <stdio.h>
#include <stdlib.h>

#define MSR_TSC           0x10u
#define MSR_MISC_ENABLE   0x1a0u
#define MSR_MTRR_DEF_TYPE 0x2ffu

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
    { 0xc0010015, 1u << 24, ONLY_SAME }, /* HWCR (AMD): the TSC counts at a constant rate */
    { 0xc0010055, 0, ONLY_SAME },        /* INT_PENDING_MSG (AMD): no C1E */
};

/* Registers that Linux tries in the expectation of a #GP on CPUs that lack them: nothing to report. */
static const uint32_t expected_probes[] = {
    0x34,       /* SMI_COUNT */
    0x4e,       /* PPIN_CTL */
    0x140,      /* MISC_FEATURES_ENABLES */
    0x64e,      /* PPERF */
    0xc0010000, /* PERF_CTL0 (AMD) */
    0xc0010010, /* SYSCFG (AMD) */
    0xc0011020, /* LS_CFG (AMD) */
    0xc0011029, /* DE_CFG (AMD) */
};

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

    for (size_t i = 0; i < sizeof expected_probes / sizeof expected_probes[0]; i++)
        if (number == expected_probes[i] && !access->write)
            return BUS_FAULT;
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
    default:
        break;
    }
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
