/* A machine for tests of device models: time that the test moves, a console that it reads and fills, interrupt lines
 * that it watches, and whatever devices are linked into the test.
 *
 * Devices that are not linked are missing: without ioapic.c, machine_set_irq records the line here (irq_level,
 * irq_edges) and goes nowhere.
 */
#pragma once

#include "vmm/device.h"

#define FAKE_TSC_HZ       UINT64_C(1000000000) /* 1 tick of the TSC is 1 ns, unless the test sets another rate */
#define FAKE_CONSOLE_SIZE 65536u

#define MICROSECOND UINT64_C(1000)
#define MILLISECOND UINT64_C(1000000)
#define SECOND      UINT64_C(1000000000)

struct fake_machine {
    struct machine machine;
    struct vcpu vcpu;
    uint8_t *memory; /* 1 MiB of guest RAM at 0 */

    uint8_t output[FAKE_CONSOLE_SIZE]; /* what the guest wrote */
    size_t output_length;
    size_t output_room; /* how many bytes console_write still takes; SIZE_MAX at first */
    uint8_t input[FAKE_CONSOLE_SIZE]; /* what the guest may read: from input_read to input_length */
    size_t input_length, input_read;

    bool irq_level[IOAPIC_PIN_COUNT];
    unsigned irq_edges[IOAPIC_PIN_COUNT]; /* rises of the line */
};

/* The time that machine->now gives. One for all machines, since machine->now has no argument. */
extern uint64_t fake_now;

/* A machine without devices, at TSC_HZ and time 1,000,000, whose wall clock shows SECONDS of UTC. */
struct fake_machine *fake_machine_bare(uint64_t tsc_hz, uint64_t seconds);

/* The same with all linked devices, at FAKE_TSC_HZ and 2024-02-28 23:59:50 UTC. Both end the test where they fail. */
struct fake_machine *fake_machine_create(void);
void fake_machine_destroy(struct fake_machine *fake);

/* Moves time on by TICKS of the TSC, stopping at every deadline on the way; returns how many stops that were. */
unsigned fake_advance(struct fake_machine *fake, uint64_t ticks);

/* Moves time on at once and runs the timers after it, as when the monitor was not scheduled for a while. */
void fake_oversleep(struct fake_machine *fake, uint64_t ticks);

/* Accesses as from the guest. Nobody there: all ones. An access with BUS_FAULT gives all ones as well. */
uint64_t fake_in(struct fake_machine *fake, uint16_t port, uint8_t size);
void fake_out(struct fake_machine *fake, uint16_t port, uint8_t size, uint64_t value);
uint64_t fake_load(struct fake_machine *fake, uint64_t address, uint8_t size);
void fake_store(struct fake_machine *fake, uint64_t address, uint8_t size, uint64_t value);

/* False: the access is a #GP. A read that is one leaves *VALUE alone. */
bool fake_rdmsr(struct fake_machine *fake, uint32_t msr, uint64_t *value);
bool fake_wrmsr(struct fake_machine *fake, uint32_t msr, uint64_t value);

/* The user types TEXT: the bytes are there, and the serial device hears of it. */
void fake_type(struct fake_machine *fake, const void *text, size_t length);
