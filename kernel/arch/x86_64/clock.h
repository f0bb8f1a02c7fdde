/* How fast the machine's counters run. */
#pragma once

#include <stdint.h>

struct clock_rates {
    uint64_t tsc_hz;
    uint32_t apic_timer_per_ms;
};

/* Measures against the PIT's channel 2 (about 150 ms); the calling CPU's local APIC must be on. A frequency that CPUID
 * tells is taken instead where the measurement agrees with it. */
struct clock_rates clock_measure(void);
