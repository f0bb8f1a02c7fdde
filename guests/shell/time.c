/* Clocks: CPUID says what they run at, or they are measured by the PIT. */
#include "guests/shell/shell.h"

#define PIT_HZ      1193182ul
#define PIT_COUNT   11932 /* 10 ms */
#define PIT_CHANNEL 0x42
#define PIT_COMMAND 0x43
#define PIT_GATE    0x61
#define DIVIDE_BY_1 0xb

uint64_t tsc_hz, timer_hz;
volatile uint64_t now;

static void measure(void)
{
    uint64_t begin, ticks, count;

    out8(PIT_GATE, (in8(PIT_GATE) & 0xfc) | 1);
    out8(PIT_COMMAND, 0xb0); /* channel 2, both bytes, mode 0 */
    out8(PIT_CHANNEL, PIT_COUNT & 0xff);
    apic_write(APIC_INITIAL, ~0u);
    begin = rdtsc();
    out8(PIT_CHANNEL, PIT_COUNT >> 8);
    while (!(in8(PIT_GATE) & 0x20))
        ;
    ticks = rdtsc() - begin;
    count = ~0u - apic_read(APIC_COUNT);
    tsc_hz = ticks * PIT_HZ / PIT_COUNT;
    timer_hz = count * PIT_HZ / PIT_COUNT;
}

void time_init(void)
{
    struct cpuid leaf = { 0 };

    apic_write(APIC_DIVIDE, DIVIDE_BY_1);
    apic_write(APIC_TIMER, VECTOR_TIMER | TIMER_MASKED);
    if (cpuid(0, 0).a >= 0x15)
        leaf = cpuid(0x15, 0);
    if (leaf.a && leaf.b && leaf.c) {
        timer_hz = leaf.c;
        tsc_hz = (uint64_t)leaf.c * leaf.b / leaf.a;
    } else {
        measure();
    }
}

void time_start(void)
{
    apic_write(APIC_TIMER, VECTOR_TIMER | TIMER_PERIODIC);
    apic_write(APIC_INITIAL, (uint32_t)(timer_hz / TICKS_PER_SECOND));
}

void time_stop(void)
{
    apic_write(APIC_TIMER, VECTOR_TIMER | TIMER_MASKED);
    apic_write(APIC_INITIAL, 0);
}
