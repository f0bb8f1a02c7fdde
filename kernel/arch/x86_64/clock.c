#include <arch/x86_64/clock.h>

#include <arch/x86_64/apic.h>
#include <arch/x86_64/x86.h>

#define PIT_HZ       1193182u
#define PIT_CHANNEL2 0x42
#define PIT_COMMAND  0x43
#define PORT_B       0x61

#define PORT_B_GATE2   0x01
#define PORT_B_SPEAKER 0x02
#define PORT_B_OUT2    0x20

#define COMMAND_CHANNEL2_ONE_SHOT 0xb0 /* both bytes, mode 0 */

#define MEASUREMENTS    3
#define MEASURE_COUNT   59659u /* 50 ms */
#define MEASURE_CLOCKS  (MEASURE_COUNT + 1) /* mode 0: output rises that many clocks after the count was written */
#define AGREE_PER_MILLE 10

struct interval {
    uint64_t tsc;
    uint32_t apic;
};

/* Waits MEASURE_CLOCKS. Both counters are read outside of the interval, so that a delay of this code (an
 * emulator that is not scheduled) makes the result larger, never smaller. */
static struct interval measure_once(void)
{
    struct interval result;
    uint8_t port_b = in8(PORT_B) & (uint8_t)~PORT_B_SPEAKER;

    out8(PORT_B, port_b | PORT_B_GATE2);
    out8(PIT_COMMAND, COMMAND_CHANNEL2_ONE_SHOT);
    out8(PIT_CHANNEL2, MEASURE_COUNT & 0xff);
    apic_start_count();
    uint64_t start = rdtsc();
    out8(PIT_CHANNEL2, MEASURE_COUNT >> 8);
    while (!(in8(PORT_B) & PORT_B_OUT2))
        ;
    result.tsc = rdtsc() - start;
    result.apic = apic_elapsed_count();
    out8(PORT_B, port_b & (uint8_t)~PORT_B_GATE2);
    return result;
}

/* TSC frequency by CPUID leaf 15h (SDM 3B 19.7.3), 0 where it is not told. */
static uint64_t tsc_hz_by_cpuid(void)
{
    struct cpuid_result leaf = cpuid_checked(0x15, 0);

    if (leaf.eax == 0 || leaf.ebx == 0 || leaf.ecx == 0)
        return 0;
    return (uint64_t)leaf.ecx * leaf.ebx / leaf.eax;
}

struct clock_rates clock_measure(void)
{
    struct interval best = { UINT64_MAX, UINT32_MAX };

    for (unsigned i = 0; i < MEASUREMENTS; i++) {
        struct interval interval = measure_once();
        if (interval.tsc < best.tsc)
            best.tsc = interval.tsc;
        if (interval.apic < best.apic)
            best.apic = interval.apic;
    }

    struct clock_rates rates = {
        .tsc_hz = best.tsc * PIT_HZ / MEASURE_CLOCKS,
        .apic_timer_per_ms = (uint32_t)((uint64_t)best.apic * PIT_HZ / MEASURE_CLOCKS / 1000),
    };
    uint64_t told = tsc_hz_by_cpuid();
    uint64_t difference = told > rates.tsc_hz ? told - rates.tsc_hz : rates.tsc_hz - told;
    if (told && difference < rates.tsc_hz / 1000 * AGREE_PER_MILLE)
        rates.tsc_hz = told;
    if (rates.apic_timer_per_ms == 0)
        rates.apic_timer_per_ms = 1;
    return rates;
}
