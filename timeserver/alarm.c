#include "timeserver/alarm.h"

#include "ipc/slots.h"

#include <sel4/sel4.h>
#include <stddef.h>

/* Channel 0, low byte then high byte, mode 0: the output, and with it the interrupt, rises when the count ends. */
#define PIT_COMMAND_PORT 0x43u
#define PIT_CHANNEL_PORT 0x40u
#define PIT_ONE_SHOT     0x30u

/* Registers of the HPET and of its first comparator (IA-PC HPET specification 1.0a, 2.3). */
enum { HPET_CAPABILITIES = 0x000, HPET_CONFIGURATION = 0x010, HPET_COUNTER = 0x0f0, HPET_TIMER = 0x100,
       HPET_COMPARATOR = 0x108 };

#define HPET_ENABLE           0x01u
#define HPET_LEGACY           0x02u
#define HPET_TIMER_INTERRUPT  0x004u
#define HPET_TIMER_32_BITS    0x100u

static void set_pit(uint64_t count)
{
    seL4_X86_IOPort_Out8(SLOT_TIME_PIT_PORTS, PIT_COMMAND_PORT, PIT_ONE_SHOT);
    seL4_X86_IOPort_Out8(SLOT_TIME_PIT_PORTS, PIT_CHANNEL_PORT, count & 0xff);
    seL4_X86_IOPort_Out8(SLOT_TIME_PIT_PORTS, PIT_CHANNEL_PORT, count >> 8);
}

static uint32_t read_hpet(const struct alarm *alarm, unsigned offset)
{
    return *(volatile uint32_t *)(alarm->hpet + offset);
}

static void write_hpet(const struct alarm *alarm, unsigned offset, uint32_t value)
{
    *(volatile uint32_t *)(alarm->hpet + offset) = value;
}

/* In legacy replacement the first comparator has the PIT's interrupt, and the PIT has none. The comparator works with
 * 32 bits, which every HPET has. */
void alarm_open(struct alarm *alarm, uint64_t tsc_hz, void *hpet)
{
    *alarm = (struct alarm) { .tsc_hz = tsc_hz, .hpet = hpet };
    if (hpet)
        alarm->hpet_hz = alarm_hpet_hz((uint64_t)read_hpet(alarm, HPET_CAPABILITIES + 4) << 32 |
                                       read_hpet(alarm, HPET_CAPABILITIES));
    if (alarm->hpet_hz == 0) {
        alarm->hpet = NULL;
        return;
    }
    write_hpet(alarm, HPET_CONFIGURATION, 0);
    write_hpet(alarm, HPET_TIMER, HPET_TIMER_32_BITS | HPET_TIMER_INTERRUPT);
    write_hpet(alarm, HPET_COUNTER, 0);
    write_hpet(alarm, HPET_COUNTER + 4, 0);
    write_hpet(alarm, HPET_COMPARATOR, UINT32_MAX);
    write_hpet(alarm, HPET_CONFIGURATION, HPET_ENABLE | HPET_LEGACY);
}

bool alarm_set(const struct alarm *alarm, uint64_t now, uint64_t deadline)
{
    if (!alarm->hpet) {
        set_pit(alarm_count(now, deadline, alarm->tsc_hz, PIT_HZ, PIT_COUNT_MAX));
        return true;
    }
    uint32_t count = (uint32_t)alarm_count(now, deadline, alarm->tsc_hz, alarm->hpet_hz, HPET_COUNT_MAX);
    uint32_t end = read_hpet(alarm, HPET_COUNTER) + count;

    write_hpet(alarm, HPET_COMPARATOR, end);
    /* It compares for equality: a counter that has gone past says nothing for 2^32 ticks. */
    return (int32_t)(end - read_hpet(alarm, HPET_COUNTER)) > 0;
}
