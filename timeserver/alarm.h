/* The hardware that wakes timeserver: the HPET where there is one, else channel 0 of the PIT. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PIT_HZ            1193182u
#define PIT_COUNT_MAX     0xffffu
#define HPET_COUNT_MAX    (UINT64_C(1) << 29)
#define HPET_MAX_HZ       UINT64_C(1000000000)

struct alarm {
    uint64_t tsc_hz;
    volatile uint8_t *hpet; /* its registers; NULL: the PIT is in use */
    uint64_t hpet_hz;
};

/* HPET: the registers, where the firmware has told of one; or NULL. */
void alarm_open(struct alarm *alarm, uint64_t tsc_hz, void *hpet);

/* Lets the interrupt come at DEADLINE, or earlier where that is further away than the hardware can count. False: it has
 * passed meanwhile, and no interrupt comes. */
bool alarm_set(const struct alarm *alarm, uint64_t now, uint64_t deadline);

/* Pure. The count of a clock of HZ that ends no earlier than at DEADLINE, 1 to MAX: a deadline further away gets MAX,
 * and the rest is for the next interrupt. TSC_HZ and HZ are not zero, and MAX * TSC_HZ is below 2^64. */
uint64_t alarm_count(uint64_t now, uint64_t deadline, uint64_t tsc_hz, uint64_t hz, uint64_t max);

/* Pure. The frequency that CAPABILITIES, the HPET's first register, tells; 0: it cannot be used (IA-PC HPET
 * specification 1.0a, 2.3.4: the period has its bounds, and legacy replacement has to be there). */
uint64_t alarm_hpet_hz(uint64_t capabilities);
