/* One virtual machine as its monitor has it: devices, the virtual CPU, and what happens at its exits. */
#pragma once

#include "algorithms/vcpu.h"
#include "vmm/cpuid.h"
#include "vmm/device.h"
#include "vmm/emulate.h"
#include "vmm/faults.h"
#include "vmm/trace.h"

#include <stdint.h>

struct monitor {
    struct machine machine;
    struct vcpu vcpu;
    struct fault_router router;
    struct emulator emulator;
    struct exit_trace *trace;
    struct cpuid_policy cpuid;
    struct cpuid_guest cpuid_guest;
    uint64_t cr4_allowed, efer_allowed; /* bits that the guest may set */
    char cause[192];                    /* why the guest cannot go on, once a handler has answered FAULT_STOP */
};
