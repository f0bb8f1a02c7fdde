#include "vmm/devices/rtc_calendar.h"

#define HOUR_PM   0x80u
#define DONT_CARE 0xc0u /* from this value on: MC146818A, "alarm" */
#define DAY_SECONDS 86400u

static bool is_leap(uint64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* The year 0 is a leap year. */
static uint64_t days_before_year(uint64_t year)
{
    return year * 365 + (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
}

static unsigned days_of_month(uint64_t year, unsigned month)
{
    static const uint8_t days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

    return days[month - 1] + (month == 2 && is_leap(year) ? 1u : 0u);
}

static uint8_t encode(unsigned number, struct calendar_format format)
{
    return (uint8_t)(format.binary ? number : number / 10 << 4 | number % 10);
}

static bool decode(uint8_t raw, struct calendar_format format, unsigned *number)
{
    *number = format.binary ? raw : (raw >> 4) * 10u + (raw & 15u);
    return format.binary || ((raw >> 4) <= 9 && (raw & 15) <= 9);
}

static uint8_t encode_hour(unsigned hour, struct calendar_format format)
{
    if (format.hours_24)
        return encode(hour, format);
    return encode(hour % 12 == 0 ? 12 : hour % 12, format) | (hour >= 12 ? HOUR_PM : 0);
}

static bool decode_hour(uint8_t raw, struct calendar_format format, unsigned *hour)
{
    if (format.hours_24)
        return decode(raw, format, hour) && *hour <= 23;
    if (!decode(raw & (uint8_t)~HOUR_PM, format, hour) || *hour < 1 || *hour > 12)
        return false;
    *hour = *hour % 12 + (raw & HOUR_PM ? 12 : 0);
    return true;
}

struct calendar_registers calendar_encode(uint64_t seconds, struct calendar_format format)
{
    seconds %= CALENDAR_SECONDS;

    uint64_t days = seconds / DAY_SECONDS;
    uint64_t year = days * 400 / 146097; /* the days of 400 years; at most one year off */
    while (days_before_year(year) > days)
        year--;
    while (days_before_year(year + 1) <= days)
        year++;

    unsigned day = (unsigned)(days - days_before_year(year)), month = 1;
    for (; day >= days_of_month(year, month); month++)
        day -= days_of_month(year, month);

    unsigned second_of_day = (unsigned)(seconds % DAY_SECONDS);
    return (struct calendar_registers) {
        .second = encode(second_of_day % 60, format),
        .minute = encode(second_of_day / 60 % 60, format),
        .hour = encode_hour(second_of_day / 3600, format),
        .weekday = encode((unsigned)((days + 6) % 7) + 1, format), /* 0000-01-01 was a Saturday, which is 7 */
        .day = encode(day + 1, format),
        .month = encode(month, format),
        .year = encode((unsigned)(year % 100), format),
        .century = encode((unsigned)(year / 100), format),
    };
}

bool calendar_decode(const struct calendar_registers *registers, struct calendar_format format, uint64_t *seconds)
{
    unsigned second, minute, hour, day, month, year, century;

    if (!decode(registers->second, format, &second) || second > 59
        || !decode(registers->minute, format, &minute) || minute > 59
        || !decode_hour(registers->hour, format, &hour)
        || !decode(registers->century, format, &century) || century > 99
        || !decode(registers->year, format, &year) || year > 99
        || !decode(registers->month, format, &month) || month < 1 || month > 12
        || !decode(registers->day, format, &day) || day < 1 || day > days_of_month(century * 100 + year, month))
        return false;

    uint64_t days = days_before_year(century * 100 + year) + day - 1;
    for (unsigned m = 1; m < month; m++)
        days += days_of_month(century * 100 + year, m);
    *seconds = days * DAY_SECONDS + hour * 3600 + minute * 60 + second;
    return true;
}

bool calendar_decode_alarm(uint8_t hour, uint8_t minute, uint8_t second, struct calendar_format format,
                           struct calendar_alarm *alarm)
{
    unsigned h = CALENDAR_ANY, m = CALENDAR_ANY, s = CALENDAR_ANY;

    if ((hour < DONT_CARE && !decode_hour(hour, format, &h))
        || (minute < DONT_CARE && (!decode(minute, format, &m) || m > 59))
        || (second < DONT_CARE && (!decode(second, format, &s) || s > 59)))
        return false;
    *alarm = (struct calendar_alarm) { .hour = (uint8_t)h, .minute = (uint8_t)m, .second = (uint8_t)s };
    return true;
}

/* The first second of the hour, from FROM on, at which minute and second agree; 3600: none. */
static unsigned next_in_hour(const struct calendar_alarm *alarm, unsigned from)
{
    for (unsigned minute = from / 60; minute < 60; minute++) {
        unsigned earliest = minute == from / 60 ? from % 60 : 0;

        if (alarm->minute != CALENDAR_ANY && alarm->minute != minute)
            continue;
        if (alarm->second == CALENDAR_ANY)
            return minute * 60 + earliest;
        if (alarm->second >= earliest)
            return minute * 60 + alarm->second;
    }
    return 3600;
}

uint64_t calendar_next_alarm(const struct calendar_alarm *alarm, uint64_t after)
{
    uint64_t first = after + 1, hour_start = first - first % 3600;
    unsigned from = (unsigned)(first % 3600);

    for (;;) { /* at most 25 hours: an alarm goes off once a day at least */
        if (alarm->hour == CALENDAR_ANY || alarm->hour == hour_start / 3600 % 24) {
            unsigned found = next_in_hour(alarm, from);

            if (found < 3600)
                return hour_start + found;
        }
        hour_start += 3600;
        from = 0;
    }
}
