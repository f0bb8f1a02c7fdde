/* A port that ends the machine: what unikernels made for QEMU's isa-debug-exit write their exit status to. */
#include "vmm/device.h"

#define PORT_EXIT  0x501u
#define EXIT_PORTS 4u /* for an access of any size */

static enum bus_result access_exit(void *device, struct bus_access *access)
{
    struct machine *machine = device;

    if (access->write)
        machine_request_end(machine, MACHINE_POWER_OFF);
    else
        access->value = 0;
    return BUS_DONE;
}

static bool create(struct machine *machine, void **device)
{
    struct bus_range range = {
        .space = BUS_PORT, .start = PORT_EXIT, .length = EXIT_PORTS, .priority = 128,
        .handler = access_exit, .device = machine, .name = "debug-exit",
    };

    *device = machine; /* it has no state of its own */
    return bus_register(&machine->bus, &range);
}

static void destroy(struct machine *machine, void *device)
{
    bus_unregister(&machine->bus, device);
}

DEVICE(debug_exit_device, .name = "debug-exit", .order = DEVICE_ORDER_NORMAL, .create = create, .destroy = destroy);
