#include "tests/monitor/timers.h"

#include "ipc/hypervisor.h"
#include "runtime/runtime.h"

#include <stdbool.h>
#include <stdlib.h>

#define MANY   3000u
#define SLEEPS 1000u

/* Too large for the stack. */
static struct time_token tokens[MANY];
static uint64_t error[SLEEPS];

static uint64_t read_tsc(void)
{
    return __builtin_ia32_rdtsc();
}

static void expect(bool holds, const char *what)
{
    if (!holds)
        panic("%s", what);
}

/* Other timers may signal the same notification. */
static void sleep_until(uint64_t deadline)
{
    seL4_Word bits;

    expect(time_arm(SLOT_TIME, deadline) == TIME_OK, "the own timer is not set");
    while (read_tsc() < deadline)
        seL4_Wait(SLOT_NOTIFICATION, &bits);
}

static enum time_status start(uint64_t deadline, unsigned signal, struct time_token *token)
{
    enum time_status status = time_start(SLOT_TIME, deadline, signal, token);

    if (status != TIME_NO_ROOM)
        return status;
    if (hypervisor_call(SLOT_HYPERVISOR, HV_TIME_ROOM) != HV_OK)
        return TIME_NO_ROOM;
    return time_start(SLOT_TIME, deadline, signal, token);
}

static void signal_elsewhere(const struct startup *startup)
{
    seL4_CPtr other = startup->first_free_slot;
    seL4_Word last = startup->vm.untyped[startup->vm.untyped_count - 1].slot, bits;
    struct time_token token;

    expect(seL4_Untyped_Retype(last, seL4_NotificationObject, 0, SLOT_ROOT_CNODE, 0, 32, other, 1) == seL4_NoError,
           "no notification");
    expect(time_signal(SLOT_TIME, 2, other) == TIME_OK, "a notification is refused");
    expect(start(read_tsc(), 2, &token) == TIME_OK, "no timer with a signal of its own");
    seL4_Wait(other, &bits);
    expect(time_signal(SLOT_TIME, 2, SLOT_VSPACE) == TIME_OK, "what it signals is not looked at");
    expect(start(read_tsc(), 2, &token) == TIME_OK, "no timer without sense");
    expect(time_signal(SLOT_TIME, 2, 0) == TIME_OK, "a notification is not given back");
    expect(time_signal(SLOT_TIME, 0, other) == TIME_INVALID && time_signal(SLOT_TIME, TIME_SIGNALS, other) == TIME_INVALID,
           "a signal that there is not");
    expect(time_signal(SLOT_TIME, 1, SLOT_TIME) == TIME_INVALID, "timeserver's own endpoint");
}

void use_many_timers(const struct startup *startup)
{
    const uint64_t begin = read_tsc(), span = startup->tsc_hz;
    struct time_token token;
    unsigned room = 0;

    for (unsigned i = 0; i < MANY; i++)
        expect(start(begin + span + i * (span / MANY), 0, &tokens[i]) == TIME_OK, "no timer");
    for (unsigned i = 0; i < MANY; i += 2)
        expect(time_stop(SLOT_TIME, &tokens[i]) == TIME_OK, "a timer is not stopped");
    for (unsigned i = 0; i < MANY; i += 2)
        expect(time_stop(SLOT_TIME, &tokens[i]) == TIME_NO_SUCH, "a timer is stopped twice");
    sleep_until(begin + 2 * span);
    for (unsigned i = 0; i < MANY; i++)
        expect(time_stop(SLOT_TIME, &tokens[i]) == TIME_NO_SUCH, "a timer has not expired");
    signal_elsewhere(startup);
    while (start(UINT64_MAX, 0, &token) == TIME_OK)
        room++;
    expect(room == TIME_ROOM_MAX_BYTES / 64, "not all of the room is there, or more than that");
    expect(time_stop(SLOT_TIME, &token) == TIME_NO_SUCH, "there is no such token");
    log_printf("%u timers used, room for %u", MANY, room);
}

void flood_timers(const struct startup *startup)
{
    const uint64_t end = read_tsc() + 3 * startup->tsc_hz;
    struct time_token token;
    unsigned count = 0;

    while (read_tsc() < end) {
        if (start(count % 8 == 0 ? end : 0, 0, &token) != TIME_OK)
            time_arm(SLOT_TIME, 0);
        count++;
    }
    log_printf("flooded");
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

void measure_timer_error(const struct startup *startup)
{
    uint64_t random = 88172645463325252u;

    for (unsigned i = 0; i < SLEEPS; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        uint64_t deadline = read_tsc() + startup->tsc_hz / 1000000 * (100 + random % 5000);
        sleep_until(deadline);
        error[i] = read_tsc() - deadline;
    }
    qsort(error, SLEEPS, sizeof error[0], compare);
    log_printf("timer error of %u: p50 %lu p99 %lu max %lu ticks, %lu ticks a second", SLEEPS, error[SLEEPS / 2],
               error[SLEEPS * 99 / 100], error[SLEEPS - 1], startup->tsc_hz);
}
