/* The interval timer of a PC (Intel 8254) and port 61h, through which channel 2 is gated and read.
 *
 * A counter is not counted down: what it shows is worked out from the time since it was loaded. Cited: Intel 8254 data
 * sheet (231164), "mode definitions".
 */
#include "vmm/device.h"
#include "vmm/devices/ticks.h"

#include <stdlib.h>

#define PIT_HZ         1193182u
#define PIT_BASE       0x40u
#define PIT_PORTS      4u
#define PORT_CONTROL   3u /* from PIT_BASE */
#define PORT_SYSTEM    0x61u
#define CHANNELS       3u
#define CHANNEL_TICK   0u /* its output is the timer interrupt */
#define CHANNEL_SPEAKER 2u
#define READ_BACK      3u /* in the place of a channel's number */

/* The refresh circuit turns bit 4 of port 61h over at every request of channel 1, which counts 18 in a PC. */
#define REFRESH_COUNT 18u

#define SYSTEM_GATE     0x01u
#define SYSTEM_WRITABLE 0x0fu
#define SYSTEM_REFRESH  0x10u
#define SYSTEM_OUTPUT   0x20u

/* How the two bytes of a count are accessed: bits 5:4 of the control word. */
enum { ACCESS_LATCH = 0, ACCESS_LOW = 1, ACCESS_HIGH = 2, ACCESS_BOTH = 3 };

#define STATUS_OUTPUT     0x80u
#define STATUS_NULL_COUNT 0x40u

struct channel {
    uint8_t mode;   /* 0 to 5 */
    uint8_t access;
    bool gate;
    bool loaded;    /* a count was written since the control word */
    bool triggered; /* modes 1 and 5: a rising gate started it */
    uint32_t count; /* 1 to 65536 */
    uint32_t next;  /* modes 2 and 3: the count after this period; 1 and 5: after the next trigger; 0: the same */
    uint64_t switch_at; /* the tick, as elapsed() counts, at which NEXT takes over; UINT64_MAX: at a trigger */
    uint64_t start; /* TSC when elapsed() was BEFORE */
    uint64_t before;

    uint8_t written_low;
    bool high_is_next_to_write, high_is_next_to_read;
    bool status_latched, count_latched;
    uint8_t status;
    uint16_t latch;
};

struct pit {
    struct machine *machine;
    struct channel channel[CHANNELS];
    uint8_t system; /* the writable bits of port 61h */
    uint64_t created;
    struct timer tick;
};

static bool is_periodic(const struct channel *channel)
{
    return channel->mode == 2 || channel->mode == 3;
}

static bool starts_by_gate(const struct channel *channel)
{
    return channel->mode == 1 || channel->mode == 5;
}

/* A low gate stops the counter in all modes but 1 and 5. */
static bool is_counting(const struct channel *channel)
{
    return starts_by_gate(channel) ? channel->loaded && channel->triggered : channel->loaded && channel->gate;
}

/* Ticks since the count was written, or since the gate started it. The first of them loads the counter. */
static uint64_t elapsed(const struct pit *pit, const struct channel *channel)
{
    uint64_t now = pit->machine->now();

    if (!is_counting(channel) || now <= channel->start)
        return channel->before;
    return ticks_after(channel->before, ticks_convert(now - channel->start, pit->machine->tsc_hz, PIT_HZ));
}

/* The TSC at which elapsed() becomes TICKS, while it counts. */
static uint64_t moment_of(const struct pit *pit, const struct channel *channel, uint64_t ticks)
{
    return ticks_after(channel->start, ticks_convert_up(ticks - channel->before, PIT_HZ, pit->machine->tsc_hz));
}

/* Ticks since the counter was loaded: what the tables of the data sheet count. */
static uint64_t since_load(uint64_t ticks)
{
    return ticks > 0 ? ticks - 1 : 0;
}

static void restart(struct pit *pit, struct channel *channel)
{
    channel->start = pit->machine->now();
    channel->before = 0;
}

/* A count that was written while a period ran takes over when that has ended (modes 2 and 3). */
static void take_over_next(struct pit *pit, struct channel *channel)
{
    if (channel->next == 0 || channel->switch_at == UINT64_MAX || elapsed(pit, channel) < channel->switch_at)
        return;
    channel->start = moment_of(pit, channel, channel->switch_at);
    channel->before = 1; /* loaded */
    channel->count = channel->next;
    channel->next = 0;
}

static bool output(const struct pit *pit, const struct channel *channel)
{
    uint64_t ticks = elapsed(pit, channel), loaded = since_load(ticks);

    switch (channel->mode) {
    case 0:
        return channel->loaded && ticks > channel->count;
    case 1:
        return !channel->triggered || ticks == 0 || loaded >= channel->count;
    case 2:
        return !is_counting(channel) || loaded % channel->count != channel->count - 1 || channel->count == 1;
    case 3:
        return !is_counting(channel) || loaded % channel->count < (channel->count + 1) / 2;
    default: /* 4 and 5: low for one tick */
        return !channel->loaded || ticks != channel->count + UINT64_C(1);
    }
}

/* What the counting element holds. */
static uint16_t current(const struct pit *pit, const struct channel *channel)
{
    uint64_t loaded = since_load(elapsed(pit, channel));
    uint32_t count = channel->count, position = (uint32_t)(loaded % count), high = (count + 1) / 2;

    switch (channel->mode) {
    case 2:
        return (uint16_t)(count - position);
    case 3: /* in steps of two, once for each half; an odd count is loaded less one */
        if (position >= high)
            position -= high;
        return (uint16_t)((count & ~1u) - 2 * position);
    default: /* at zero it goes on from FFFFh */
        return (uint16_t)(count - loaded);
    }
}

/* How far apart two interrupts are, in ticks, at least. */
static uint64_t interrupt_spacing(const struct channel *channel)
{
    uint64_t least = (PIT_HZ + TIMER_RATE_MAXIMUM_HZ - 1) / TIMER_RATE_MAXIMUM_HZ;

    return (least + channel->count - 1) / channel->count * channel->count;
}

/* Sets the timer for the next rise of channel 0's output. */
static void schedule_tick(struct pit *pit)
{
    const struct channel *channel = &pit->channel[CHANNEL_TICK];
    uint64_t ticks = elapsed(pit, channel), rise;

    timer_cancel(&pit->machine->timers, &pit->tick);
    if (!is_counting(channel))
        return;
    if (is_periodic(channel)) {
        uint64_t spacing = interrupt_spacing(channel);

        rise = ticks_after(since_load(ticks) / spacing * spacing, spacing + 1);
        if (channel->next != 0 && rise > channel->switch_at)
            rise = channel->switch_at;
    } else {
        rise = channel->count + (channel->mode == 0 ? UINT64_C(1) : UINT64_C(2));
        if (rise <= ticks)
            return; /* it has been */
    }
    timer_arm(&pit->machine->timers, &pit->tick, moment_of(pit, channel, rise));
}

static void set_tick_line(struct pit *pit, bool level)
{
    machine_set_irq(pit->machine, GSI_PIT, level);
}

static void tick_expired(void *device, uint64_t deadline)
{
    struct pit *pit = device;
    struct channel *channel = &pit->channel[CHANNEL_TICK];

    (void)deadline;
    take_over_next(pit, channel);
    if (channel->mode != 0)
        set_tick_line(pit, false);
    set_tick_line(pit, true);
    schedule_tick(pit);
}

static void write_control_word(struct pit *pit, struct channel *channel, uint8_t value)
{
    uint8_t mode = value >> 1 & 7;

    /* The count is taken as binary even where bit 0 asks for BCD, which no system of this century uses; the status
     * byte says so. */
    channel->mode = mode > 5 ? mode - 4 : mode; /* bit 2 does not count in modes 2 and 3 */
    channel->access = value >> 4 & 3;
    channel->loaded = channel->triggered = false;
    channel->next = 0;
    channel->before = 0;
    channel->high_is_next_to_write = channel->high_is_next_to_read = channel->access == ACCESS_HIGH;
    channel->status_latched = channel->count_latched = false;
    if (channel == &pit->channel[CHANNEL_TICK]) {
        schedule_tick(pit);
        set_tick_line(pit, channel->mode != 0);
    }
}

static void latch_count(const struct pit *pit, struct channel *channel)
{
    if (channel->count_latched)
        return; /* the first one counts until it has been read */
    channel->latch = current(pit, channel);
    channel->count_latched = true;
    channel->high_is_next_to_read = channel->access == ACCESS_HIGH;
}

static void latch_status(const struct pit *pit, struct channel *channel)
{
    if (channel->status_latched)
        return;
    channel->status = (output(pit, channel) ? STATUS_OUTPUT : 0)
        | (!channel->loaded || channel->next != 0 ? STATUS_NULL_COUNT : 0) | (uint8_t)(channel->access << 4)
        | (uint8_t)(channel->mode << 1);
    channel->status_latched = true;
}

static void write_control(struct pit *pit, uint8_t value)
{
    unsigned number = value >> 6;

    if (number != READ_BACK) {
        take_over_next(pit, &pit->channel[number]);
        if ((value >> 4 & 3) == ACCESS_LATCH)
            latch_count(pit, &pit->channel[number]);
        else
            write_control_word(pit, &pit->channel[number], value);
        return;
    }
    for (unsigned i = 0; i < CHANNELS; i++) {
        if (!(value & 2u << i))
            continue;
        take_over_next(pit, &pit->channel[i]);
        if (!(value & 0x20))
            latch_count(pit, &pit->channel[i]);
        if (!(value & 0x10))
            latch_status(pit, &pit->channel[i]);
    }
}

static void load_count(struct pit *pit, struct channel *channel, uint16_t value)
{
    uint32_t count = value == 0 ? 0x10000u : value;

    if (is_periodic(channel) && channel->loaded) {
        uint64_t ticks = elapsed(pit, channel);

        channel->next = count;
        ticks = since_load(ticks) / channel->count * channel->count;
        channel->switch_at = ticks_after(ticks, channel->count + UINT64_C(1));
    } else if (starts_by_gate(channel) && channel->triggered) {
        channel->next = count;
        channel->switch_at = UINT64_MAX;
    } else {
        channel->count = count;
        channel->loaded = true;
        restart(pit, channel);
    }
    if (channel == &pit->channel[CHANNEL_TICK]) {
        if (channel->mode == 0)
            set_tick_line(pit, false);
        schedule_tick(pit);
    }
}

static void write_count(struct pit *pit, struct channel *channel, uint8_t value)
{
    take_over_next(pit, channel);
    if (channel->access == ACCESS_LOW) {
        load_count(pit, channel, value);
    } else if (channel->access == ACCESS_HIGH) {
        load_count(pit, channel, (uint16_t)(value << 8));
    } else if (channel->high_is_next_to_write) {
        channel->high_is_next_to_write = false;
        load_count(pit, channel, (uint16_t)(value << 8 | channel->written_low));
    } else {
        channel->high_is_next_to_write = true;
        channel->written_low = value;
        if (channel->mode == 0) { /* the first byte stops the count and lowers the output */
            channel->loaded = false;
            channel->before = 0;
            if (channel == &pit->channel[CHANNEL_TICK]) {
                schedule_tick(pit);
                set_tick_line(pit, false);
            }
        }
    }
}

static uint8_t read_count(struct pit *pit, struct channel *channel)
{
    take_over_next(pit, channel);
    if (channel->status_latched) {
        channel->status_latched = false;
        return channel->status;
    }
    uint16_t value = channel->count_latched ? channel->latch : current(pit, channel);
    bool high = channel->high_is_next_to_read;

    if (channel->access == ACCESS_BOTH)
        channel->high_is_next_to_read = !high;
    if (channel->access != ACCESS_BOTH || high)
        channel->count_latched = false;
    return (uint8_t)(high ? value >> 8 : value);
}

static void set_gate(struct pit *pit, struct channel *channel, bool gate)
{
    if (gate == channel->gate)
        return;
    take_over_next(pit, channel);
    uint64_t ticks = elapsed(pit, channel);

    channel->gate = gate;
    if (!gate && starts_by_gate(channel))
        return;
    if (gate && channel->loaded && (starts_by_gate(channel) || is_periodic(channel))) {
        /* A rising gate loads the count anew. */
        if (channel->next != 0)
            channel->count = channel->next;
        channel->next = 0;
        channel->triggered = starts_by_gate(channel);
        restart(pit, channel);
    } else {
        channel->before = ticks;
        channel->start = pit->machine->now();
    }
}

static uint8_t read_system(struct pit *pit)
{
    uint64_t age = ticks_convert(pit->machine->now() - pit->created, pit->machine->tsc_hz, PIT_HZ);

    take_over_next(pit, &pit->channel[CHANNEL_SPEAKER]);
    return pit->system | (age / REFRESH_COUNT % 2 ? SYSTEM_REFRESH : 0)
        | (output(pit, &pit->channel[CHANNEL_SPEAKER]) ? SYSTEM_OUTPUT : 0);
}

static enum bus_result access_channel(void *device, struct bus_access *access)
{
    struct pit *pit = device;

    if (access->size != 1)
        return BUS_PASS;
    if (access->offset == PORT_CONTROL) {
        if (!access->write)
            return BUS_PASS; /* nothing drives the bus then */
        write_control(pit, (uint8_t)access->value);
    } else if (access->write) {
        write_count(pit, &pit->channel[access->offset], (uint8_t)access->value);
    } else {
        access->value = read_count(pit, &pit->channel[access->offset]);
    }
    return BUS_DONE;
}

static enum bus_result access_system(void *device, struct bus_access *access)
{
    struct pit *pit = device;

    if (access->size != 1)
        return BUS_PASS;
    if (access->write) {
        pit->system = access->value & SYSTEM_WRITABLE;
        set_gate(pit, &pit->channel[CHANNEL_SPEAKER], pit->system & SYSTEM_GATE);
    } else {
        access->value = read_system(pit);
    }
    return BUS_DONE;
}

static void destroy(struct machine *machine, void *device)
{
    struct pit *pit = device;

    timer_cancel(&machine->timers, &pit->tick);
    bus_unregister(&machine->bus, pit);
    free(pit);
}

static bool create(struct machine *machine, void **device)
{
    struct pit *pit = calloc(1, sizeof *pit);

    if (!pit)
        return false;
    pit->machine = machine;
    pit->created = machine->now();
    pit->tick.expired = tick_expired;
    pit->tick.device = pit;
    for (unsigned i = 0; i < CHANNELS; i++)
        pit->channel[i] = (struct channel) { .access = ACCESS_BOTH, .count = 0x10000, .gate = i != CHANNEL_SPEAKER };

    struct bus_range channels = {
        .space = BUS_PORT, .start = PIT_BASE, .length = PIT_PORTS, .priority = 128,
        .handler = access_channel, .device = pit, .name = "pit",
    };
    struct bus_range system = {
        .space = BUS_PORT, .start = PORT_SYSTEM, .length = 1, .priority = 128,
        .handler = access_system, .device = pit, .name = "pit",
    };
    if (!bus_register(&machine->bus, &channels) || !bus_register(&machine->bus, &system)) {
        destroy(machine, pit);
        return false;
    }
    *device = pit;
    return true;
}

DEVICE(pit_device, .name = "pit", .order = DEVICE_ORDER_NORMAL, .create = create, .destroy = destroy);
