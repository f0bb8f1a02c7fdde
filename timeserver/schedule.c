#include "timeserver/schedule.h"

void schedule_cancel(struct schedule *schedule, unsigned client)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < schedule->count; i++)
        if (schedule->entry[i].client != client)
            schedule->entry[kept++] = schedule->entry[i];
    schedule->count = kept;
}

bool schedule_arm(struct schedule *schedule, unsigned client, uint64_t deadline)
{
    if (client >= SCHEDULE_CLIENTS)
        return false;
    schedule_cancel(schedule, client);

    unsigned place = schedule->count++;
    for (; place > 0 && schedule->entry[place - 1].deadline <= deadline; place--)
        schedule->entry[place] = schedule->entry[place - 1];
    schedule->entry[place].deadline = deadline;
    schedule->entry[place].client = client;
    return true;
}

bool schedule_next(const struct schedule *schedule, uint64_t *deadline)
{
    if (schedule->count == 0)
        return false;
    *deadline = schedule->entry[schedule->count - 1].deadline;
    return true;
}

bool schedule_take_due(struct schedule *schedule, uint64_t now, unsigned *client)
{
    uint64_t deadline;

    if (!schedule_next(schedule, &deadline) || deadline > now)
        return false;
    *client = schedule->entry[--schedule->count].client;
    return true;
}

uint16_t schedule_pit_count(uint64_t now, uint64_t deadline, uint64_t tsc_hz)
{
    uint64_t ticks = deadline > now ? deadline - now : 0;
    uint64_t longest = PIT_COUNT_MAX * tsc_hz / PIT_HZ; /* tsc_hz below 2^47 cannot overflow; no CPU is near */

    if (ticks >= longest)
        return PIT_COUNT_MAX;
    uint64_t count = (ticks * PIT_HZ + tsc_hz - 1) / tsc_hz;
    return count == 0 ? 1 : (uint16_t)count;
}
