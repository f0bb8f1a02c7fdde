#include "dbgserver/format.h"

#include <stdio.h>

#define DAY 86400u

/* Days of the Gregorian calendar's period of 400 years, and of its parts; a year here begins in March, so that the leap
 * day is its last. */
enum { DAYS_400 = 146097, DAYS_100 = 36524, DAYS_4 = 1461, DAYS_YEAR = 365, DAYS_TO_1970 = 719468 };

void format_bytes(char *text, size_t size, uint64_t bytes)
{
    static const char *const unit[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    unsigned i = 0;

    while (i + 1 < sizeof unit / sizeof unit[0] && bytes >= 1024 && (bytes % 1024 == 0 || bytes >= 10000)) {
        bytes /= 1024;
        i++;
    }
    snprintf(text, size, "%lu %s", bytes, unit[i]);
}

void format_duration(char *text, size_t size, uint64_t seconds)
{
    uint64_t days = seconds / DAY, rest = seconds % DAY;
    char before[32] = "";

    if (days > 0)
        snprintf(before, sizeof before, "%lu day%s ", days, days == 1 ? "" : "s");
    snprintf(text, size, "%s%lu:%02lu:%02lu", before, rest / 3600, rest / 60 % 60, rest % 60);
}

void format_date(char *text, size_t size, uint64_t seconds)
{
    uint64_t days = seconds / DAY + DAYS_TO_1970, rest = seconds % DAY;
    uint64_t period = days / DAYS_400;

    days %= DAYS_400;
    uint64_t century = days / DAYS_100 < 3 ? days / DAYS_100 : 3; /* the last one has a day more */
    days -= century * DAYS_100;
    uint64_t four = days / DAYS_4;
    days %= DAYS_4;
    uint64_t one = days / DAYS_YEAR < 3 ? days / DAYS_YEAR : 3;
    days -= one * DAYS_YEAR;

    /* Months from March on: 153 days in each five. */
    uint64_t month = (5 * days + 2) / 153, day = days - (153 * month + 2) / 5 + 1;
    uint64_t year = 400 * period + 100 * century + 4 * four + one + (month >= 10);
    month = month < 10 ? month + 3 : month - 9;
    snprintf(text, size, "%lu-%02lu-%02lu %02lu:%02lu:%02lu UTC", year, month, day, rest / 3600, rest / 60 % 60,
             rest % 60);
}
