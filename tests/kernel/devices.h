/* The PC's devices that the cases use: ports through capabilities, time by the TSC. */
#pragma once

#include "tests/kernel/harness.h"

#include <string.h>

#define PIT_CHANNEL0 0x40u
#define PIT_COMMAND  0x43u
#define PIT_HZ       1193182u
#define PIT_PIN      2u /* of the I/O APIC, on a PC */
#define RTC_INDEX    0x70u
#define RTC_DATA     0x71u
#define RTC_PIN      8u

/* A capability to ports FIRST to LAST. */
static inline seL4_CPtr issue_ports(struct env *e, seL4_Word first, seL4_Word last)
{
    seL4_CPtr slot = new_slot(e);

    EXPECT_OK(seL4_X86_IOPortControl_Issue(seL4_CapIOPortControl, first, last, ROOT, slot, ROOT_DEPTH));
    return slot;
}

static inline void port_out(struct env *e, seL4_CPtr ports, seL4_Word port, seL4_Word value)
{
    EXPECT_OK(seL4_X86_IOPort_Out8(ports, port, value));
}

static inline seL4_Word port_in(struct env *e, seL4_CPtr ports, seL4_Word port)
{
    seL4_X86_IOPort_In8_t in = seL4_X86_IOPort_In8(ports, (seL4_Uint16)port);

    EXPECT_EQ(in.error, seL4_NoError);
    return in.result;
}

/* One interrupt in that many milliseconds, at most 54. */
static inline void pit_one_shot(struct env *e, seL4_CPtr ports, unsigned milliseconds)
{
    unsigned count = PIT_HZ / 1000 * milliseconds;

    port_out(e, ports, PIT_COMMAND, 0x30);
    port_out(e, ports, PIT_CHANNEL0, count & 0xff);
    port_out(e, ports, PIT_CHANNEL0, count >> 8);
}

/* An interrupt every that many milliseconds, until pit_stop. */
static inline void pit_periodic(struct env *e, seL4_CPtr ports, unsigned milliseconds)
{
    unsigned count = PIT_HZ / 1000 * milliseconds;

    port_out(e, ports, PIT_COMMAND, 0x34);
    port_out(e, ports, PIT_CHANNEL0, count & 0xff);
    port_out(e, ports, PIT_CHANNEL0, count >> 8);
}

/* The last interrupt comes at once. (Without a new count, QEMU's PIT runs on with the old one.) */
static inline void pit_stop(struct env *e, seL4_CPtr ports)
{
    port_out(e, ports, PIT_COMMAND, 0x30);
    port_out(e, ports, PIT_CHANNEL0, 1);
    port_out(e, ports, PIT_CHANNEL0, 0);
}

static inline seL4_Word read_tsc(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (seL4_Word)high << 32 | low;
}

static inline seL4_Word tsc_per_millisecond(struct env *e)
{
    const seL4_BootInfoHeader *record = sel4_bootinfo_find(e->bootinfo, SEL4_BOOTINFO_HEADER_X86_TSC_FREQ);
    seL4_Uint32 mhz = 0;

    if (record)
        memcpy(&mhz, record + 1, sizeof mhz);
    EXPECT(mhz > 0);
    return mhz * 1000ul;
}

/* Whether NOTIFICATION is signalled within that time; its badge, or 0. */
static inline seL4_Word signalled_within(struct env *e, seL4_CPtr notification, unsigned milliseconds)
{
    seL4_Word end = read_tsc() + milliseconds * tsc_per_millisecond(e), badge;

    do {
        seL4_Poll(notification, &badge);
    } while (!badge && read_tsc() < end);
    return badge;
}
