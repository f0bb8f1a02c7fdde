#include "vmm/devices/local_apic_timer.h"

#include "vmm/devices/local_apic.h"
#include "vmm/devices/ticks.h"

static void expired(void *device, uint64_t deadline);

void local_apic_timer_init(struct local_apic_timer *timer, struct machine *machine, void (*fire)(void *), void *apic)
{
    *timer = (struct local_apic_timer) { .machine = machine, .fire = fire, .apic = apic };
    timer->timer.expired = expired;
    timer->timer.device = timer;
    local_apic_timer_reset(timer);
}

static void disarm(struct local_apic_timer *timer)
{
    timer_cancel(&timer->machine->timers, &timer->timer);
    timer->running = false;
    timer->initial = 0;
    timer->tsc_deadline = 0;
}

void local_apic_timer_reset(struct local_apic_timer *timer)
{
    disarm(timer);
    timer->mode = LOCAL_APIC_ONE_SHOT;
    local_apic_timer_set_divide(timer, 0);
}

/* Counts since the initial count was written. */
static uint64_t elapsed(const struct local_apic_timer *timer)
{
    uint64_t now = timer->machine->now();
    uint64_t ticks = now > timer->start ? now - timer->start : 0;
    uint64_t undivided = ticks_convert(ticks, timer->machine->tsc_hz, LOCAL_APIC_TIMER_HZ);

    return ticks_after(timer->before, undivided >> timer->shift);
}

/* The TSC at which elapsed() becomes COUNT. */
static uint64_t moment_of(const struct local_apic_timer *timer, uint64_t count)
{
    uint64_t counts = count - timer->before;

    if (counts > UINT64_MAX >> timer->shift)
        return UINT64_MAX;
    counts <<= timer->shift;
    return ticks_after(timer->start, ticks_convert_up(counts, LOCAL_APIC_TIMER_HZ, timer->machine->tsc_hz));
}

/* From here on, BEFORE says how far it has come; an end that has not been noticed yet is still to come then. */
static void rebase(struct local_apic_timer *timer)
{
    uint64_t counts = elapsed(timer);

    if (timer->mode == LOCAL_APIC_PERIODIC)
        timer->before = counts % timer->initial;
    else
        timer->before = counts < timer->initial ? counts : timer->initial;
    timer->start = timer->machine->now();
}

/* Sets the timer for when the count next comes to zero. */
static void schedule(struct local_apic_timer *timer)
{
    uint64_t spacing = timer->initial;

    if (timer->mode == LOCAL_APIC_PERIODIC) {
        uint64_t divided = (uint64_t)TIMER_RATE_MAXIMUM_HZ << timer->shift;
        uint64_t least = (LOCAL_APIC_TIMER_HZ + divided - 1) / divided;

        spacing = (least + spacing - 1) / spacing * spacing;
        spacing = ticks_after(elapsed(timer) / spacing * spacing, spacing);
    }
    timer_arm(&timer->machine->timers, &timer->timer, moment_of(timer, spacing));
}

static void expired(void *device, uint64_t deadline)
{
    struct local_apic_timer *timer = device;

    (void)deadline;
    if (timer->mode == LOCAL_APIC_PERIODIC)
        schedule(timer);
    else
        timer->running = false;
    timer->tsc_deadline = 0;
    timer->fire(timer->apic);
}

void local_apic_timer_set_mode(struct local_apic_timer *timer, enum local_apic_timer_mode mode)
{
    enum local_apic_timer_mode before = timer->mode;

    if (mode == before)
        return;
    if (mode >= LOCAL_APIC_TSC_DEADLINE || before >= LOCAL_APIC_TSC_DEADLINE)
        disarm(timer); /* SDM 3A 11.5.4.1 */
    if (timer->running)
        rebase(timer);
    timer->mode = mode;
    if (timer->running)
        schedule(timer);
}

void local_apic_timer_set_divide(struct local_apic_timer *timer, uint32_t configuration)
{
    uint8_t shift = (uint8_t)(((configuration & 3) | (configuration >> 1 & 4)) + 1) & 7; /* 111b: divide by 1 */

    if (!timer->running) {
        timer->shift = shift;
        return;
    }
    rebase(timer);
    timer->shift = shift;
    schedule(timer);
}

void local_apic_timer_set_initial(struct local_apic_timer *timer, uint32_t count)
{
    if (timer->mode >= LOCAL_APIC_TSC_DEADLINE)
        return;
    disarm(timer);
    if (count == 0)
        return;
    timer->initial = count;
    timer->running = true;
    timer->before = 0;
    timer->start = timer->machine->now();
    schedule(timer);
}

uint32_t local_apic_timer_current(const struct local_apic_timer *timer)
{
    if (!timer->running)
        return 0;
    uint64_t counts = elapsed(timer);

    if (timer->mode == LOCAL_APIC_PERIODIC)
        return timer->initial - (uint32_t)(counts % timer->initial);
    return counts < timer->initial ? timer->initial - (uint32_t)counts : 0;
}

void local_apic_timer_set_deadline(struct local_apic_timer *timer, uint64_t deadline)
{
    if (timer->mode != LOCAL_APIC_TSC_DEADLINE)
        return;
    disarm(timer);
    if (deadline == 0)
        return;
    if (deadline <= timer->machine->now()) {
        timer->fire(timer->apic);
        return;
    }
    timer->tsc_deadline = deadline;
    timer_arm(&timer->machine->timers, &timer->timer, deadline);
}

uint64_t local_apic_timer_deadline(const struct local_apic_timer *timer)
{
    return timer->tsc_deadline;
}
