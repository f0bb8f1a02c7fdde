/* The two ports of a PC's chipset that reset it: the reset control register, which is also ACPI's, and port 92h. */
#include "vmm/device.h"

#include <stdlib.h>

/* The reset control register lies within the PCI address register, which is accessed as a double word alone. */
#define PRIORITY_OVER_PCI 160u
#define RESET_CPU         0x04u /* a write with this bit resets, whatever kind the others ask for (ICH9, 13.7.5) */
#define RESET_KEPT        0x0au

#define PORT_SYSTEM_A 0x92u /* PS/2: bit 0 resets on a rise, bit 1 is the A20 gate */
#define SYSTEM_A_RESET 0x01u
#define SYSTEM_A_A20   0x02u
#define SYSTEM_A_KEPT  0x03u

struct reset {
    struct machine *machine;
    uint8_t control, system_a;
};

static enum bus_result access_control(void *device, struct bus_access *access)
{
    struct reset *reset = device;

    if (access->size != 1)
        return BUS_PASS;
    if (access->write) {
        reset->control = access->value & RESET_KEPT;
        if (access->value & RESET_CPU)
            machine_request_end(reset->machine, MACHINE_RESET);
    } else {
        access->value = reset->control;
    }
    return BUS_DONE;
}

static enum bus_result access_system_a(void *device, struct bus_access *access)
{
    struct reset *reset = device;

    if (access->size != 1)
        return BUS_PASS;
    if (access->write) {
        if ((access->value & SYSTEM_A_RESET) && !(reset->system_a & SYSTEM_A_RESET))
            machine_request_end(reset->machine, MACHINE_RESET);
        reset->system_a = access->value & SYSTEM_A_KEPT;
    } else {
        access->value = reset->system_a;
    }
    return BUS_DONE;
}

static void destroy(struct machine *machine, void *device)
{
    bus_unregister(&machine->bus, device);
    free(device);
}

static bool create(struct machine *machine, void **device)
{
    struct reset *reset = calloc(1, sizeof *reset);

    if (!reset)
        return false;
    reset->machine = machine;
    reset->system_a = SYSTEM_A_A20;

    struct bus_range control = {
        .space = BUS_PORT, .start = PORT_RESET_CONTROL, .length = 1, .priority = PRIORITY_OVER_PCI,
        .handler = access_control, .device = reset, .name = "reset",
    };
    struct bus_range system_a = {
        .space = BUS_PORT, .start = PORT_SYSTEM_A, .length = 1, .priority = 128,
        .handler = access_system_a, .device = reset, .name = "reset",
    };
    if (!bus_register(&machine->bus, &control) || !bus_register(&machine->bus, &system_a)) {
        destroy(machine, reset);
        return false;
    }
    *device = reset;
    return true;
}

DEVICE(reset_device, .name = "reset", .order = DEVICE_ORDER_NORMAL, .create = create, .destroy = destroy);
