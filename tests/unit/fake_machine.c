#include "tests/unit/fake_machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_BYTES (UINT64_C(1) << 20)

uint64_t fake_now;

static uint64_t now(void)
{
    return fake_now;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t console_write(void *context, const uint8_t *bytes, size_t length)
{
    struct fake_machine *fake = context;
    size_t count = smaller(length, smaller(fake->output_room, FAKE_CONSOLE_SIZE - fake->output_length));

    memcpy(fake->output + fake->output_length, bytes, count);
    fake->output_length += count;
    if (fake->output_room != SIZE_MAX)
        fake->output_room -= count;
    return count;
}

static size_t console_read(void *context, uint8_t *bytes, size_t length)
{
    struct fake_machine *fake = context;
    size_t count = smaller(length, fake->input_length - fake->input_read);

    memcpy(bytes, fake->input + fake->input_read, count);
    fake->input_read += count;
    return count;
}

/* ioapic.c defines the real one. */
__attribute__((weak)) void machine_set_irq(struct machine *machine, unsigned gsi, bool level)
{
    struct fake_machine *fake = machine->console;

    if (level && !fake->irq_level[gsi])
        fake->irq_edges[gsi]++;
    fake->irq_level[gsi] = level;
}

static void fail(const char *what)
{
    fprintf(stderr, "fake machine: %s\n", what);
    abort();
}

struct fake_machine *fake_machine_bare(uint64_t tsc_hz, uint64_t seconds)
{
    static const struct vcpu_operations never_runs;
    struct fake_machine *fake = calloc(1, sizeof *fake);

    if (!fake || !(fake->memory = calloc(1, MEMORY_BYTES)))
        fail("no memory");
    fake_now = 1000000;
    fake->output_room = SIZE_MAX;
    vcpu_init(&fake->vcpu, &never_runs, fake);
    memset(fake->vcpu.valid, 0xff, sizeof fake->vcpu.valid); /* no register has to be asked for */

    struct machine *machine = &fake->machine;
    bus_init(&machine->bus);
    timers_init(&machine->timers);
    machine->memory.count = 1;
    machine->memory.region[0] = (struct guest_region) { .start = 0, .length = MEMORY_BYTES, .host = fake->memory };
    machine->vcpu = &fake->vcpu;
    machine->tsc_hz = tsc_hz;
    machine->now = now;
    machine->wall_clock_seconds = seconds;
    machine->wall_clock_tsc = fake_now;
    machine->console_write = console_write;
    machine->console_read = console_read;
    machine->console = fake;
    return fake;
}

struct fake_machine *fake_machine_create(void)
{
    struct fake_machine *fake = fake_machine_bare(FAKE_TSC_HZ, 1709164790);
    const char *name = NULL;

    if (!devices_create(&fake->machine, &name))
        fail(name);
    return fake;
}

void fake_machine_destroy(struct fake_machine *fake)
{
    devices_destroy(&fake->machine);
    free(fake->memory);
    free(fake);
}

unsigned fake_advance(struct fake_machine *fake, uint64_t ticks)
{
    uint64_t end = fake_now + ticks, deadline;
    unsigned stops = 0;

    while (timers_next(&fake->machine.timers, &deadline) && deadline <= end) {
        fake_now = deadline > fake_now ? deadline : fake_now;
        timers_run(&fake->machine.timers, fake_now);
        stops++;
    }
    fake_now = end;
    return stops;
}

void fake_oversleep(struct fake_machine *fake, uint64_t ticks)
{
    fake_now += ticks;
    timers_run(&fake->machine.timers, fake_now);
}

static uint64_t read_bus(struct fake_machine *fake, enum bus_space space, uint64_t address, uint8_t size)
{
    struct bus_access access = { .write = false, .size = size, .address = address };

    if (bus_perform(&fake->machine.bus, space, &access) == BUS_FAULT)
        return UINT64_MAX >> (64 - size * 8);
    return access.value;
}

static void write_bus(struct fake_machine *fake, enum bus_space space, uint64_t address, uint8_t size, uint64_t value)
{
    struct bus_access access = { .write = true, .size = size, .address = address, .value = value };

    bus_perform(&fake->machine.bus, space, &access);
}

uint64_t fake_in(struct fake_machine *fake, uint16_t port, uint8_t size)
{
    return read_bus(fake, BUS_PORT, port, size);
}

void fake_out(struct fake_machine *fake, uint16_t port, uint8_t size, uint64_t value)
{
    write_bus(fake, BUS_PORT, port, size, value);
}

uint64_t fake_load(struct fake_machine *fake, uint64_t address, uint8_t size)
{
    return read_bus(fake, BUS_MMIO, address, size);
}

void fake_store(struct fake_machine *fake, uint64_t address, uint8_t size, uint64_t value)
{
    write_bus(fake, BUS_MMIO, address, size, value);
}

bool fake_rdmsr(struct fake_machine *fake, uint32_t msr, uint64_t *value)
{
    struct bus_access access = { .write = false, .size = 8, .address = msr };

    if (bus_perform(&fake->machine.bus, BUS_MSR, &access) != BUS_DONE)
        return false;
    *value = access.value;
    return true;
}

bool fake_wrmsr(struct fake_machine *fake, uint32_t msr, uint64_t value)
{
    struct bus_access access = { .write = true, .size = 8, .address = msr, .value = value };

    return bus_perform(&fake->machine.bus, BUS_MSR, &access) == BUS_DONE;
}

void fake_type(struct fake_machine *fake, const void *text, size_t length)
{
    if (fake->input_read == fake->input_length)
        fake->input_read = fake->input_length = 0;
    size_t count = smaller(length, FAKE_CONSOLE_SIZE - fake->input_length);

    memcpy(fake->input + fake->input_length, text, count);
    fake->input_length += count;
    if (fake->machine.console_input)
        fake->machine.console_input(fake->machine.console_device);
}
