/* From ticks of one clock to ticks of another, without overflow and without drift: an event is always reckoned from
 * the moment its clock started, never from the event before it.
 */
#pragma once

#include <stdint.h>

/* No timer that a guest makes periodic fires more often than this; what would have come in between is merged with it,
 * as edges are on a real machine whose processor does not take its interrupts in time. Counters and flags that the
 * guest reads are those of the period that it asked for. */
#define TIMER_RATE_MAXIMUM_HZ 10000u

static inline uint64_t ticks_saturate(unsigned __int128 ticks)
{
    return ticks > UINT64_MAX ? UINT64_MAX : (uint64_t)ticks;
}

/* What TICKS of a clock of FROM Hz are on one of TO Hz, rounded down. A clock of 0 Hz never ticks. */
static inline uint64_t ticks_convert(uint64_t ticks, uint64_t from, uint64_t to)
{
    return from == 0 ? 0 : ticks_saturate((unsigned __int128)ticks * to / from);
}

/* The same rounded up: the first tick of TO at which ticks_convert back gives at least TICKS. */
static inline uint64_t ticks_convert_up(uint64_t ticks, uint64_t from, uint64_t to)
{
    if (from == 0)
        return UINT64_MAX;
    return ticks_saturate(((unsigned __int128)ticks * to + from - 1) / from);
}

/* A moment that cannot be reached counts as the last one. */
static inline uint64_t ticks_after(uint64_t start, uint64_t ticks)
{
    uint64_t sum;

    return __builtin_add_overflow(start, ticks, &sum) ? UINT64_MAX : sum;
}
