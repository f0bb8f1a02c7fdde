/* The real-time clock and CMOS memory of a PC: a Motorola MC146818A with a century register.
 *
 * The time is that of the machine's wall clock plus whatever the guest set; nothing runs while nobody looks, except a
 * timer for the next interrupt that the guest enabled. Cited: MC146818A data sheet (1984).
 */
#include "vmm/device.h"
#include "vmm/devices/rtc_calendar.h"
#include "vmm/devices/ticks.h"

#include <stdlib.h>

#define PORT_INDEX  0x70u
#define INDEX_MASK  0x7fu /* bit 7 masks the NMI, which this machine has not */
#define CMOS_BYTES  128u
#define CRYSTAL_HZ  32768u

enum {
    CMOS_SECOND = 0x00, CMOS_SECOND_ALARM, CMOS_MINUTE, CMOS_MINUTE_ALARM, CMOS_HOUR, CMOS_HOUR_ALARM,
    CMOS_WEEKDAY, CMOS_DAY, CMOS_MONTH, CMOS_YEAR,
    CMOS_A, CMOS_B, CMOS_C, CMOS_D,
    CMOS_CENTURY = 0x32, /* where IBM put it; the FADT says so too */
};

#define A_UPDATING      0x80u
#define A_DIVIDER_RESET 0x60u /* both bits: the divider chain stands still */
#define A_RATE          0x0fu

#define B_SET       0x80u
#define B_BINARY    0x04u
#define B_HOURS_24  0x02u

/* Interrupt enables in B, flags in C; bit 7 of C says that one meets the other. */
#define PERIODIC 0x40u
#define ALARM    0x20u
#define UPDATE   0x10u
#define C_REQUEST 0x80u

#define D_VALID 0x80u

/* From the moment that register A's bit 7 is up, the time stays valid for at least this long. */
#define UPDATE_WARNING_HZ 4098u /* one part of a second, 244 µs */

struct rtc {
    struct machine *machine;
    uint8_t index;
    uint8_t cmos[CMOS_BYTES]; /* the date and time in it count only while the clock stands still */
    uint8_t flags;
    bool running;
    uint64_t base_seconds;  /* since 0000-01-01, … */
    uint64_t base_tsc;      /* … when the TSC had that value */
    uint64_t dividers_tsc;  /* when the divider chain was started */
    uint64_t seen_seconds, seen_period; /* up to which FLAGS are those that they should be */
    struct timer timer;
};

static uint64_t since(const struct rtc *rtc, uint64_t start)
{
    uint64_t now = rtc->machine->now();

    return now > start ? now - start : 0;
}

static uint64_t tsc_hz(const struct rtc *rtc)
{
    return rtc->machine->tsc_hz ? rtc->machine->tsc_hz : 1;
}

static struct calendar_format format(const struct rtc *rtc)
{
    return (struct calendar_format) {
        .binary = rtc->cmos[CMOS_B] & B_BINARY,
        .hours_24 = rtc->cmos[CMOS_B] & B_HOURS_24,
    };
}

static bool dividers_run(const struct rtc *rtc)
{
    return (rtc->cmos[CMOS_A] & A_DIVIDER_RESET) != A_DIVIDER_RESET;
}

/* Ticks of the crystal between two periodic interrupts; 0: none (table 5). */
static uint64_t period(const struct rtc *rtc)
{
    unsigned rate = rtc->cmos[CMOS_A] & A_RATE;

    if (rate == 0 || !dividers_run(rtc))
        return 0;
    return UINT64_C(1) << (rate < 3 ? rate + 6 : rate - 1);
}

static uint64_t current_seconds(const struct rtc *rtc)
{
    return rtc->base_seconds + since(rtc, rtc->base_tsc) / tsc_hz(rtc);
}

static uint64_t current_period(const struct rtc *rtc)
{
    uint64_t ticks = period(rtc);

    return ticks ? ticks_convert(since(rtc, rtc->dividers_tsc), tsc_hz(rtc), CRYSTAL_HZ) / ticks : 0;
}

static bool find_alarm(const struct rtc *rtc, uint64_t *seconds)
{
    struct calendar_alarm alarm;

    if (!calendar_decode_alarm(rtc->cmos[CMOS_HOUR_ALARM], rtc->cmos[CMOS_MINUTE_ALARM], rtc->cmos[CMOS_SECOND_ALARM],
                               format(rtc), &alarm))
        return false;
    *seconds = calendar_next_alarm(&alarm, rtc->seen_seconds);
    return true;
}

/* Sets the flags for what has happened since the last time. */
static void notice_events(struct rtc *rtc)
{
    uint64_t seconds = current_seconds(rtc), periods = current_period(rtc), alarm;

    if (rtc->running && seconds != rtc->seen_seconds) {
        rtc->flags |= UPDATE;
        if (find_alarm(rtc, &alarm) && alarm <= seconds)
            rtc->flags |= ALARM;
        rtc->seen_seconds = seconds;
    }
    if (periods != rtc->seen_period) {
        rtc->flags |= PERIODIC;
        rtc->seen_period = periods;
    }
}

static bool is_wanted(const struct rtc *rtc, uint8_t event)
{
    return (rtc->cmos[CMOS_B] & event) && !(rtc->flags & event);
}

static uint64_t moment_of_second(const struct rtc *rtc, uint64_t seconds)
{
    return ticks_after(rtc->base_tsc, ticks_convert(seconds - rtc->base_seconds, 1, tsc_hz(rtc)));
}

/* The interrupt line, and the timer for the next event that would raise it. */
static void update_interrupt(struct rtc *rtc)
{
    uint64_t deadline = UINT64_MAX, moment, alarm;

    machine_set_irq(rtc->machine, GSI_RTC, rtc->flags & rtc->cmos[CMOS_B] & (PERIODIC | ALARM | UPDATE));
    if (rtc->running && is_wanted(rtc, UPDATE))
        deadline = moment_of_second(rtc, rtc->seen_seconds + 1);
    if (rtc->running && is_wanted(rtc, ALARM) && find_alarm(rtc, &alarm)) {
        moment = moment_of_second(rtc, alarm);
        deadline = moment < deadline ? moment : deadline;
    }
    if (is_wanted(rtc, PERIODIC) && period(rtc) != 0) {
        uint64_t ticks = (rtc->seen_period + 1) * period(rtc);

        moment = ticks_after(rtc->dividers_tsc, ticks_convert_up(ticks, CRYSTAL_HZ, tsc_hz(rtc)));
        deadline = moment < deadline ? moment : deadline;
    }
    if (deadline != UINT64_MAX)
        timer_arm(&rtc->machine->timers, &rtc->timer, deadline);
    else
        timer_cancel(&rtc->machine->timers, &rtc->timer);
}

static void timer_expired(void *device, uint64_t deadline)
{
    struct rtc *rtc = device;

    (void)deadline;
    notice_events(rtc);
    update_interrupt(rtc);
}

static void registers_to_cmos(struct rtc *rtc, const struct calendar_registers *registers)
{
    rtc->cmos[CMOS_SECOND] = registers->second;
    rtc->cmos[CMOS_MINUTE] = registers->minute;
    rtc->cmos[CMOS_HOUR] = registers->hour;
    rtc->cmos[CMOS_WEEKDAY] = registers->weekday;
    rtc->cmos[CMOS_DAY] = registers->day;
    rtc->cmos[CMOS_MONTH] = registers->month;
    rtc->cmos[CMOS_YEAR] = registers->year;
    rtc->cmos[CMOS_CENTURY] = registers->century;
}

static struct calendar_registers registers_of_cmos(const struct rtc *rtc)
{
    return (struct calendar_registers) {
        .second = rtc->cmos[CMOS_SECOND], .minute = rtc->cmos[CMOS_MINUTE], .hour = rtc->cmos[CMOS_HOUR],
        .weekday = rtc->cmos[CMOS_WEEKDAY], .day = rtc->cmos[CMOS_DAY], .month = rtc->cmos[CMOS_MONTH],
        .year = rtc->cmos[CMOS_YEAR], .century = rtc->cmos[CMOS_CENTURY],
    };
}

static void show_time(struct rtc *rtc)
{
    struct calendar_registers registers = calendar_encode(current_seconds(rtc), format(rtc));

    if (rtc->running)
        registers_to_cmos(rtc, &registers);
}

/* Lets the clock run from what its registers show, if they show a date that there is and nothing holds the clock; it
 * stands still otherwise. A new second begins when one would have begun without the change. */
static void set_time(struct rtc *rtc)
{
    struct calendar_registers registers = registers_of_cmos(rtc);
    uint64_t seconds;

    rtc->running = !(rtc->cmos[CMOS_B] & B_SET) && dividers_run(rtc)
        && calendar_decode(&registers, format(rtc), &seconds);
    if (!rtc->running)
        return;
    rtc->base_tsc += since(rtc, rtc->base_tsc) / tsc_hz(rtc) * tsc_hz(rtc);
    rtc->base_seconds = rtc->seen_seconds = seconds;
}

static void write_a(struct rtc *rtc, uint8_t value)
{
    bool ran = dividers_run(rtc);

    rtc->cmos[CMOS_A] = value & (uint8_t)~A_UPDATING;
    if (!ran && dividers_run(rtc)) {
        /* The first update comes half a second after the divider's reset ends ("divider control"). */
        rtc->dividers_tsc = rtc->machine->now();
        rtc->base_tsc = rtc->dividers_tsc - tsc_hz(rtc) / 2;
        if (rtc->base_tsc > rtc->dividers_tsc)
            rtc->base_tsc = 0;
        set_time(rtc);
    } else if (ran && !dividers_run(rtc)) {
        rtc->running = false;
    }
    rtc->seen_period = current_period(rtc);
}

static void write_b(struct rtc *rtc, uint8_t value)
{
    uint8_t before = rtc->cmos[CMOS_B];

    rtc->cmos[CMOS_B] = value;
    if (value & B_SET) {
        rtc->cmos[CMOS_B] &= (uint8_t)~UPDATE; /* "a high on SET clears UIE" */
        rtc->running = false;
    } else if (before & B_SET) {
        set_time(rtc);
    }
}

static bool is_time(uint8_t index)
{
    switch (index) {
    case CMOS_SECOND:
    case CMOS_MINUTE:
    case CMOS_HOUR:
    case CMOS_WEEKDAY:
    case CMOS_DAY:
    case CMOS_MONTH:
    case CMOS_YEAR:
    case CMOS_CENTURY:
        return true;
    default:
        return false;
    }
}

static void write_cmos(struct rtc *rtc, uint8_t index, uint8_t value)
{
    notice_events(rtc);
    show_time(rtc);
    if (index == CMOS_A) {
        write_a(rtc, value);
    } else if (index == CMOS_B) {
        write_b(rtc, value);
    } else if (index != CMOS_C && index != CMOS_D) {
        rtc->cmos[index] = value;
        if (is_time(index))
            set_time(rtc);
    }
    update_interrupt(rtc);
}

static bool is_about_to_update(const struct rtc *rtc)
{
    uint64_t into_second = since(rtc, rtc->base_tsc) % tsc_hz(rtc);

    return rtc->running && tsc_hz(rtc) - into_second <= tsc_hz(rtc) / UPDATE_WARNING_HZ;
}

static uint8_t read_cmos(struct rtc *rtc, uint8_t index)
{
    uint8_t flags;

    switch (index) {
    case CMOS_A:
        return rtc->cmos[CMOS_A] | (is_about_to_update(rtc) ? A_UPDATING : 0);
    case CMOS_C:
        notice_events(rtc);
        flags = rtc->flags | (rtc->flags & rtc->cmos[CMOS_B] ? C_REQUEST : 0);
        rtc->flags = 0;
        update_interrupt(rtc);
        return flags;
    case CMOS_D:
        return D_VALID;
    default:
        if (is_time(index))
            show_time(rtc);
        return rtc->cmos[index];
    }
}

static enum bus_result access_port(void *device, struct bus_access *access)
{
    struct rtc *rtc = device;

    if (access->size != 1)
        return BUS_PASS;
    if (access->offset == 0) {
        if (!access->write)
            return BUS_PASS; /* the index cannot be read back */
        rtc->index = access->value & INDEX_MASK;
    } else if (access->write) {
        write_cmos(rtc, rtc->index, (uint8_t)access->value);
    } else {
        access->value = read_cmos(rtc, rtc->index);
    }
    return BUS_DONE;
}

static bool create(struct machine *machine, void **device)
{
    if (machine->rtc_passthrough)
        return true;

    struct rtc *rtc = calloc(1, sizeof *rtc);
    if (!rtc)
        return false;
    rtc->machine = machine;
    rtc->cmos[CMOS_A] = 0x26; /* 32,768 Hz crystal, 1,024 Hz rate: what a BIOS leaves */
    rtc->cmos[CMOS_B] = B_HOURS_24;
    rtc->running = true;
    rtc->base_seconds = CALENDAR_UNIX_EPOCH + machine->wall_clock_seconds % CALENDAR_SECONDS;
    rtc->base_tsc = rtc->dividers_tsc = machine->wall_clock_tsc;
    rtc->seen_seconds = current_seconds(rtc);
    rtc->seen_period = current_period(rtc);
    rtc->timer.expired = timer_expired;
    rtc->timer.device = rtc;

    struct bus_range range = {
        .space = BUS_PORT, .start = PORT_INDEX, .length = 2, .priority = 128,
        .handler = access_port, .device = rtc, .name = "rtc",
    };
    if (!bus_register(&machine->bus, &range)) {
        free(rtc);
        return false;
    }
    *device = rtc;
    return true;
}

static void destroy(struct machine *machine, void *device)
{
    struct rtc *rtc = device;

    timer_cancel(&machine->timers, &rtc->timer);
    bus_unregister(&machine->bus, rtc);
    free(rtc);
}

DEVICE(rtc_device, .name = "rtc", .order = DEVICE_ORDER_NORMAL, .create = create, .destroy = destroy);
