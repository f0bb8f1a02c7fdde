/* What the machine's CMOS clock says, as seconds since 1970. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct cmos_time {
    uint8_t second, minute, hour, day, month, year, century; /* as the registers 0, 2, 4, 7, 8, 9 and 0x32 hold them */
    uint8_t status_b; /* register 0x0b: bit 1 24-hour, bit 2 binary */
};

/* The time in UTC; false when a register holds what no clock can show. */
bool calendar_seconds(const struct cmos_time *time, uint64_t *seconds);
