#include "beaml4-init/calendar.h"

#define STATUS_24_HOURS 0x02u
#define STATUS_BINARY   0x04u
#define HOUR_PM         0x80u

static bool decode(uint8_t raw, bool binary, unsigned *value)
{
    *value = binary ? raw : (raw >> 4) * 10u + (raw & 15u);
    return binary || ((raw >> 4) <= 9 && (raw & 15) <= 9);
}

static bool is_leap(uint64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

bool calendar_seconds(const struct cmos_time *time, uint64_t *seconds)
{
    static const uint8_t month_days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool binary = time->status_b & STATUS_BINARY;
    bool pm = !(time->status_b & STATUS_24_HOURS) && (time->hour & HOUR_PM);
    uint8_t raw_hour = time->status_b & STATUS_24_HOURS ? time->hour : (uint8_t)(time->hour & ~HOUR_PM);
    unsigned second, minute, hour, day, month, year, century;

    if (!decode(time->second, binary, &second) || !decode(time->minute, binary, &minute) ||
        !decode(raw_hour, binary, &hour) || !decode(time->day, binary, &day) ||
        !decode(time->month, binary, &month) || !decode(time->year, binary, &year))
        return false;
    if (!(time->status_b & STATUS_24_HOURS)) {
        if (hour < 1 || hour > 12)
            return false;
        hour = hour % 12 + (pm ? 12 : 0);
    }
    /* Not every clock has a century register; what it holds then is not 19 to 21. */
    if (!decode(time->century, binary, &century) || century < 19 || century > 21)
        century = year >= 70 ? 19 : 20;
    uint64_t full_year = century * 100u + year;

    if (full_year < 1970 || year > 99 || month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59)
        return false;
    unsigned days_of_month = month_days[month - 1] + (month == 2 && is_leap(full_year) ? 1u : 0u);
    if (day < 1 || day > days_of_month)
        return false;

    uint64_t days = day - 1;
    for (uint64_t y = 1970; y < full_year; y++)
        days += is_leap(y) ? 366 : 365;
    for (unsigned m = 1; m < month; m++)
        days += month_days[m - 1] + (m == 2 && is_leap(full_year) ? 1u : 0u);
    *seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    return true;
}
