/* One-shot timers of the device models, in ticks of the time-stamp counter. Pure: the caller says what time it is and
 * asks for the next deadline. */
#pragma once

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

struct timer {
    RB_ENTRY(timer) entry;
    uint64_t deadline;
    bool armed;
    void (*expired)(void *device, uint64_t deadline); /* may arm the timer again */
    void *device;
};

RB_HEAD(timer_tree, timer);

struct timers {
    struct timer_tree tree;
    unsigned armed;
};

/* How many calls timers_run makes beyond one for each armed timer. */
#define TIMERS_RUN_EXTRA 16u

void timers_init(struct timers *timers);
void timer_arm(struct timers *timers, struct timer *timer, uint64_t deadline);
void timer_cancel(struct timers *timers, struct timer *timer);

/* The earliest deadline; false: nothing is armed. */
bool timers_next(struct timers *timers, uint64_t *deadline);

/* Calls every timer whose deadline is at or before NOW, in order of deadlines; at most as many calls as there were
 * timers armed plus a fixed bound, so that a guest cannot keep it busy by ever shorter periods. */
void timers_run(struct timers *timers, uint64_t now);
