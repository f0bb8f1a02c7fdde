/* The timer of a local APIC (SDM 3A 11.5.4). Pure. */
#pragma once

#include "vmm/device.h"

enum local_apic_timer_mode { /* bits 18:17 of the LVT entry */
    LOCAL_APIC_ONE_SHOT = 0,
    LOCAL_APIC_PERIODIC = 1,
    LOCAL_APIC_TSC_DEADLINE = 2,
    LOCAL_APIC_RESERVED_MODE = 3, /* never fires */
};

struct local_apic_timer {
    struct machine *machine;
    void (*fire)(void *apic);
    void *apic;
    struct timer timer;
    enum local_apic_timer_mode mode;
    uint8_t shift;         /* log2 of the divide value */
    bool running;          /* counts down (not in TSC-deadline mode) */
    uint32_t initial;
    uint64_t start;        /* TSC when BEFORE counts had gone by */
    uint64_t before;
    uint64_t tsc_deadline; /* 0: not armed */
};

void local_apic_timer_init(struct local_apic_timer *timer, struct machine *machine, void (*fire)(void *), void *apic);
void local_apic_timer_reset(struct local_apic_timer *timer);
void local_apic_timer_set_mode(struct local_apic_timer *timer, enum local_apic_timer_mode mode);

/* The divide configuration register: bits 3, 1 and 0 (figure 11-10). */
void local_apic_timer_set_divide(struct local_apic_timer *timer, uint32_t configuration);

/* Ignored in TSC-deadline mode. 0 stops the timer. */
void local_apic_timer_set_initial(struct local_apic_timer *timer, uint32_t count);
uint32_t local_apic_timer_current(const struct local_apic_timer *timer);

/* IA32_TSC_DEADLINE: a write in another mode does nothing, and a read gives 0. */
void local_apic_timer_set_deadline(struct local_apic_timer *timer, uint64_t deadline);
uint64_t local_apic_timer_deadline(const struct local_apic_timer *timer);
