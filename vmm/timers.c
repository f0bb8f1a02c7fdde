#include "vmm/timers.h"

#include <stddef.h>

static int compare_numbers(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* Timers with the same deadline differ by where they lie. */
static int compare(const struct timer *a, const struct timer *b)
{
    int by_deadline = compare_numbers(a->deadline, b->deadline);

    return by_deadline ? by_deadline : compare_numbers((uintptr_t)a, (uintptr_t)b);
}

/* Not all of the functions that this defines are used here. */
RB_GENERATE_INTERNAL(timer_tree, timer, entry, compare, __attribute__((unused)) static)

void timers_init(struct timers *timers)
{
    RB_INIT(&timers->tree);
    timers->armed = 0;
}

void timer_cancel(struct timers *timers, struct timer *timer)
{
    if (!timer->armed)
        return;
    RB_REMOVE(timer_tree, &timers->tree, timer);
    timer->armed = false;
    timers->armed--;
}

void timer_arm(struct timers *timers, struct timer *timer, uint64_t deadline)
{
    timer_cancel(timers, timer);
    timer->deadline = deadline;
    timer->armed = true;
    timers->armed++;
    RB_INSERT(timer_tree, &timers->tree, timer);
}

bool timers_next(struct timers *timers, uint64_t *deadline)
{
    const struct timer *first = RB_MIN(timer_tree, &timers->tree);

    if (first)
        *deadline = first->deadline;
    return first != NULL;
}

void timers_run(struct timers *timers, uint64_t now)
{
    for (unsigned calls = timers->armed + TIMERS_RUN_EXTRA; calls > 0; calls--) {
        struct timer *first = RB_MIN(timer_tree, &timers->tree);

        if (!first || first->deadline > now)
            break;
        uint64_t deadline = first->deadline;
        timer_cancel(timers, first);
        first->expired(first->device, deadline);
    }
}
