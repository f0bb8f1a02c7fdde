#include "timeserver/alarm.h"

#define HPET_LEGACY_CAPABLE  (UINT64_C(1) << 15)
#define HPET_PERIOD_MAX      UINT64_C(100000000) /* femtoseconds */
#define FEMTOSECONDS         UINT64_C(1000000000000000)

uint64_t alarm_count(uint64_t now, uint64_t deadline, uint64_t tsc_hz, uint64_t hz, uint64_t max)
{
    uint64_t ticks = deadline > now ? deadline - now : 0;
    uint64_t longest = max * tsc_hz / hz;

    if (ticks >= longest)
        return max;
    uint64_t count = (ticks * hz + tsc_hz - 1) / tsc_hz;
    return count == 0 ? 1 : count;
}

uint64_t alarm_hpet_hz(uint64_t capabilities)
{
    uint64_t period = capabilities >> 32;

    if (!(capabilities & HPET_LEGACY_CAPABLE) || period == 0 || period > HPET_PERIOD_MAX)
        return 0;
    return FEMTOSECONDS / period <= HPET_MAX_HZ ? FEMTOSECONDS / period : 0;
}
