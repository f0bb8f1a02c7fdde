/* Which client is to be woken when: one deadline a client, in ticks of the time-stamp counter; and how to say a
 * distance in ticks of the PIT. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SCHEDULE_CLIENTS 32u
#define PIT_HZ           1193182u
#define PIT_COUNT_MAX    0xffffu

struct schedule {
    unsigned count;
    struct {
        uint64_t deadline;
        unsigned client;
    } entry[SCHEDULE_CLIENTS]; /* the earliest last; of two equal ones, the one armed first last */
};

/* Sets CLIENT's deadline in place of the one that it may have; false for a client that cannot be. */
bool schedule_arm(struct schedule *schedule, unsigned client, uint64_t deadline);

void schedule_cancel(struct schedule *schedule, unsigned client);

/* Takes out the earliest deadline that is not after NOW and gives its client; false when there is none. */
bool schedule_take_due(struct schedule *schedule, uint64_t now, unsigned *client);

/* The earliest deadline; false when there is none. */
bool schedule_next(const struct schedule *schedule, uint64_t *deadline);

/* The count that brings the PIT's interrupt no earlier than at DEADLINE, 1 to PIT_COUNT_MAX: a deadline further away
 * than the PIT can count gets the largest, and the rest is for the next interrupt. TSC_HZ is not zero. */
uint16_t schedule_pit_count(uint64_t now, uint64_t deadline, uint64_t tsc_hz);
