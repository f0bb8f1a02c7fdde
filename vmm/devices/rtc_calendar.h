/* The date and time registers of an MC146818 and the seconds that they stand for. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The clock counts from 0000-01-01 00:00:00, so that every date that four digits can name has its number. */
#define CALENDAR_UNIX_EPOCH UINT64_C(62167219200) /* 1970-01-01 */
#define CALENDAR_SECONDS    UINT64_C(315569520000) /* of 10000 years, after which it starts again */

/* How the registers hold numbers: bits 2 (DM) and 1 (24/12) of register B. */
struct calendar_format {
    bool binary, hours_24;
};

struct calendar_registers {
    uint8_t second, minute, hour, weekday, day, month, year, century;
};

struct calendar_registers calendar_encode(uint64_t seconds, struct calendar_format format);

/* False: no such date or time. The day of the week is not looked at. */
bool calendar_decode(const struct calendar_registers *registers, struct calendar_format format, uint64_t *seconds);

#define CALENDAR_ANY 0xffu /* "don't care" of an alarm register */

/* An alarm's hour (0 to 23), minute and second, each of which may be CALENDAR_ANY. */
struct calendar_alarm {
    uint8_t hour, minute, second;
};

/* False: it never goes off. */
bool calendar_decode_alarm(uint8_t hour, uint8_t minute, uint8_t second, struct calendar_format format,
                           struct calendar_alarm *alarm);

/* The first time later than AFTER at which the alarm goes off. */
uint64_t calendar_next_alarm(const struct calendar_alarm *alarm, uint64_t after);
